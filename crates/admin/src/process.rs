//! What the kernel knows of this process, read when Prometheus asks.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use rustix::process::{Resource, getrlimit};

/// The `process_*` metrics that every Prometheus client has. What `/proc` does not tell is left
/// away.
#[derive(Clone, Debug)]
pub struct ProcessMetrics {
    ticks_per_second: f64,
    page_size: u64,
    boot_time: Option<u64>,
}

/// What a process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUsage {
    /// In user and kernel mode.
    pub cpu_seconds: f64,
    /// Of memory.
    pub resident_bytes: u64,
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows `fairway_build_info{version="..."} 1`.
pub fn register_build_info(registry: &mut Registry, version: &'static str) {
    let info = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    info.get_or_create(&[("version", version)]).set(1);
    registry.register("fairway_build_info", "The fairway that runs here", info);
}

impl ProcessMetrics {
    /// Of this process.
    pub fn new() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self {
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            page_size: rustix::param::page_size() as u64,
            boot_time: boot_time(&stat),
        }
    }

    /// Adds the metrics of this process to `registry`.
    pub fn register(registry: &mut Registry) {
        registry.register_collector(Box::new(Self::new()));
    }

    /// What it has used so far; None where `/proc` does not tell.
    pub fn usage(&self) -> Option<ProcessUsage> {
        let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let ticks = stat.user_ticks + stat.system_ticks;
        Some(ProcessUsage {
            cpu_seconds: ticks as f64 / self.ticks_per_second,
            resident_bytes: stat.resident_pages.saturating_mul(self.page_size),
        })
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(stat) = fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|text| Stat::parse(&text))
        {
            let seconds = |ticks: u64| ticks as f64 / self.ticks_per_second;
            counter(
                &mut encoder,
                "process_cpu_seconds",
                "Processor time used, in user and kernel mode",
                seconds(stat.user_ticks + stat.system_ticks),
            )?;
            gauge(
                &mut encoder,
                "process_resident_memory_bytes",
                "Memory in use",
                stat.resident_pages.saturating_mul(self.page_size),
            )?;
            gauge(
                &mut encoder,
                "process_virtual_memory_bytes",
                "Address space in use",
                stat.virtual_bytes,
            )?;
            if let Some(boot_time) = self.boot_time {
                gauge(
                    &mut encoder,
                    "process_start_time_seconds",
                    "When the process started, since 1970",
                    boot_time as f64 + seconds(stat.start_ticks),
                )?;
            }
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            // One of them is the directory that we are reading.
            let open = descriptors.count().saturating_sub(1) as u64;
            gauge(
                &mut encoder,
                "process_open_fds",
                "Open file descriptors",
                open,
            )?;
        }
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            gauge(
                &mut encoder,
                "process_max_fds",
                "Most file descriptors that may be open",
                limit,
            )?;
        }
        Ok(())
    }
}

/// The fields of `/proc/self/stat` in use, see proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the command in brackets and may hold anything, brackets too.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The manual counts from 1 and the first of `fields` is its third.
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine started, in seconds since 1970, from `/proc/stat`.
fn boot_time(stat: &str) -> Option<u64> {
    let value = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    value.trim().parse().ok()
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeCounterValue,
) -> fmt::Result {
    // The library adds its full stop only to what is registered.
    let help = format!("{help}.");
    let metric = encoder.encode_descriptor(name, &help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    let help = format!("{help}.");
    let metric = encoder.encode_descriptor(name, &help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(metric)
}
