//! A transport that replays a script, for tests.
