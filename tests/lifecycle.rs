//! The agent's life: start, restart, end, and what others do to it and its tables meanwhile.

mod api_server;
mod cleanup;
mod configuration;
mod events;
mod families;
mod health;
mod interference;
mod kernel;
mod quiet;
mod repair;
mod restart;
mod scale;
mod stale;
