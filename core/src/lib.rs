//! What Tremplin decides. See `docs/design/architecture.md`.
