//! The PhoneNumber operator.
