//! Configs as plain files.
