//! What is wrong is told once, in a line that says where and what follows; everything else works.

mod api_server;
mod counted;
mod host_ports;
mod hostile;
mod kubeconfig;
mod manifests;
mod objects;
mod permissions;
mod ports;
mod services;
mod told;
mod usage;

use counted::Counted;
use told::Told;
