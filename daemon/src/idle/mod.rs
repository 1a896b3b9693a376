//! When learning may go on: nobody is being served, and the machine has nothing better to do. It keeps who was last
//! served and reads what the kernel says of pressure, power and heat; it starts and stops nothing, and opens no file
//! outside `/proc/pressure` and `/sys/class`.

mod conditions;
mod hindrance;
mod presence;

pub use conditions::Conditions;
pub use hindrance::{Hindrance, Resource, hindrance};
pub use presence::{Presence, Visit};
