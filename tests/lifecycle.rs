//! The agent's life: start, restart, end, and what others do to it and its tables meanwhile.

mod api_server;
mod cleanup;
mod events;
mod health;
mod quiet;
mod repair;
mod restart;
mod stale;
