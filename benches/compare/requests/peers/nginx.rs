use std::fmt::Write as _;
use std::process::Child;

use anyhow::Result;

use super::{KEPT, Listen, Routes};
use crate::requests::process::{Signal, signal};
use crate::requests::stage::{ORIGIN, ORIGINS, Stage, host};

const FILE: &str = "nginx.conf";

pub(super) fn start(stage: &Stage, listen: Listen, routes: Routes) -> Result<Child> {
    let file = stage.write(FILE, config(stage, listen, routes))?;
    stage.start("nginx", &["-c", &file.display().to_string()])
}

/// As `nginx -s reload` does.
pub(super) fn reload(stage: &Stage, listen: Listen, routes: Routes, master: u32) -> Result<()> {
    stage.write(FILE, config(stage, listen, routes))?;
    signal(master, Signal::HUP)
}

fn config(stage: &Stage, listen: Listen, routes: Routes) -> String {
    let Listen { http, https } = listen;
    let clients = 2 * stage.clients;
    let directory = stage.path("");
    let directory = directory.display();
    let mut config = format!(
        "worker_processes 1; daemon off; error_log stderr; pid {directory}/nginx.pid;
         events {{ worker_connections {clients}; }}
         http {{
           log_format main '$remote_addr - [$time_iso8601] \"$request\" $status $body_bytes_sent '
             '\"$http_referer\" \"$http_user_agent\" $request_length $request_time $host $upstream_addr '
             '$upstream_response_length $upstream_response_time $upstream_status';
           access_log /dev/null main buffer=64k flush=1s;
           tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600;
           client_max_body_size 0; client_body_buffer_size 128k; server_tokens off;
           client_body_temp_path {directory}/nginx-body; proxy_temp_path {directory}/nginx-proxy;
           proxy_buffer_size 16k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
           proxy_max_temp_file_size 0; proxy_request_buffering off;
           server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
           ssl_certificate {directory}/chain.pem; ssl_certificate_key {directory}/key.pem;
           ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:10m;
           http2_max_concurrent_streams 256;
           map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
           proxy_http_version 1.1;
           proxy_set_header Host $host; proxy_set_header Connection $connection_upgrade;
           proxy_set_header Upgrade $http_upgrade; proxy_set_header X-Real-IP $remote_addr;
           proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;
           proxy_set_header X-Forwarded-Proto $scheme;\n"
    );
    for (name, port) in ORIGINS {
        // Writing to a String does not fail.
        let _ = writeln!(
            config,
            "upstream {name} {{ server {ORIGIN}:{port}; keepalive {KEPT}; \
             keepalive_requests 1000000000; keepalive_timeout 600; }}"
        );
    }
    let mut first = " backlog=4096";
    for number in 0..routes.hosts {
        let (host, upstream) = (host(number), routes.origin(number));
        let _ = writeln!(
            config,
            "server {{ listen {http}{first}; listen {https} ssl http2{first}; server_name {host}; \
             location / {{ proxy_pass http://{upstream}; }} \
             location /echo {{ proxy_pass http://echo; }} }}"
        );
        first = "";
    }
    config.push_str("}\n");
    config
}
