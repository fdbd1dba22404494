//! Rules against naive twins, nets against identities, and the representations as a pipeline uses them.

mod attention;
mod nets;
mod parity;
mod representations;
mod rules;
mod support;
