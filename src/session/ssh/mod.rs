//! SSH by ssh2: the only place that knows libssh2.
