//! The store on a simulated disk that forgets, tears and reorders what was not synced.
//!
//! A *world* is a store with one account on such a disk; operations are applied to it and to a model that knows what
//! each should lead to. After a crash anywhere the recovered store has to show exactly the state after one of the
//! operations, not before the last that was acknowledged.

mod ahead;
mod attached;
mod attachments;
mod backup;
mod cache;
mod compaction;
mod counted;
mod crashes;
mod damage;
mod deferred;
mod faults;
mod fetched;
mod histories;
mod idle;
mod listing;
mod modseq;
mod once;
mod packing;
mod parts;
mod reads;
mod refusals;
mod regrouping;
mod repair;
mod revive;
mod slices;
mod snapshots;
mod sorting;
mod threads;
mod trouble;
mod uidvalidity;
mod undelete;
mod world;
