mod conditions;
mod conformance;
mod hosts;
mod oracle;
mod paths;
