//! The program that does what `tremplin-core` decides.
