//! A secret in the launcher's environment.

use std::io;

use super::{Canary, Lure, Output, cookie, seen};
use crate::model::Observation;

/// Its name. No sandbox has a reason to let it pass.
const NAME: &str = "ESCAPOLOGY_TOKEN";

/// A variable that only this leg's launch gets.
#[derive(Debug)]
pub(super) struct VariableCanary {
    cookie: String,
}

impl VariableCanary {
    pub(super) fn plant() -> Self {
        Self { cookie: cookie() }
    }
}

impl Canary for VariableCanary {
    fn lure(&mut self) -> io::Result<Lure> {
        Ok(Lure {
            arguments: vec![("variable".to_owned(), NAME.to_owned())],
            environment: vec![(NAME.to_owned(), self.cookie.clone())],
            ..Lure::default()
        })
    }

    fn observe(&mut self, output: &Output) -> Observation {
        let evidence = output
            .reveals(&self.cookie)
            .then(|| "the variable's value came out".to_owned());
        seen(Ok(evidence.into_iter().collect()))
    }

    fn poke(&mut self) -> io::Result<Output> {
        // As a program that prints its environment would have it.
        Ok(Output {
            printed: format!("{NAME}={}\n", self.cookie).into_bytes(),
            ..Output::default()
        })
    }
}
