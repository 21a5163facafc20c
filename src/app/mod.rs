//! Configuration, commands, and the wiring of the house.

<<<<<<< HEAD
pub mod hours;
=======
pub mod demo;
>>>>>>> h5
