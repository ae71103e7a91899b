//! Containers of many messages and the map that finds them; bytes in, views and bytes out.
