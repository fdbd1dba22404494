//! What other programs wrote, what comes back of what we write, and what broken files lead to.

mod arrays;
mod onnx;
mod state_dict;
mod support;
