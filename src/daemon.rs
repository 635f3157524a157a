//! The long-running orchestrator.
