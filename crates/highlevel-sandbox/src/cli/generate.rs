//! `completions` and `man`: files for the shell, made from the definition of the command line.

use std::io;

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

use super::output;

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

impl CompletionsArgs {
    pub(super) fn run(self, mut program: Command) -> io::Result<()> {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        output::write(&script)
    }
}

/// A page for each command; without one, the page of the program.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    Serve,
    Health,
    Trigger,
    Simulate,
    #[cfg(feature = "mcp")]
    Mcp,
}

#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Command to print the page of [default: the program]
    #[arg(value_enum)]
    command: Option<Page>,
}

impl ManArgs {
    pub(super) fn run(self, mut program: Command) -> io::Result<()> {
        // Gives the commands their full names.
        program.build();
        let command = self.command.and_then(|page| page.to_possible_value());
        let command = command.and_then(|value| program.find_subcommand(value.get_name()).cloned());
        let mut page = Vec::new();
        clap_mangen::Man::new(command.unwrap_or(program)).render(&mut page)?;
        output::write(&page)
    }
}
