//! End-to-end tests: the real binary on the nodes of a cluster of network namespaces, fed by a
//! directory of manifests or by an API server, judged by what its clients see.

//mod bad_input;
mod dependencies;
mod ingress;
mod lifecycle;
mod service_proxy;
mod support;
