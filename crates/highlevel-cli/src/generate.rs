//! `completions` and `man`: files for the shell, made from the definition of the command line.

use std::io;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::CommandError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// Shell to complete in
    #[arg(value_enum)]
    shell: Shell,
}

impl ShellArgs {
    pub(crate) fn run(&self, mut program: Command) -> Result<(), CommandError> {
        let name = program.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, name, &mut script);
        Ok(output::write(&script)?)
    }
}

#[derive(Debug, Args)]
pub(crate) struct ManualArgs {
    /// Command to print the page of, for example: send sms [default: the program]
    command: Vec<String>,
}

impl ManualArgs {
    pub(crate) fn run(&self, mut program: Command) -> Result<(), CommandError> {
        // Gives the commands their full names.
        program.build();
        let mut chosen = &program;
        for name in &self.command {
            chosen = chosen.find_subcommand(name).ok_or_else(|| {
                CommandError::usage(
                    format!("there is no command `{}`", self.command.join(" ")),
                    "`highlevel --help` lists the commands",
                )
            })?;
        }
        let mut page = Vec::new();
        let rendered: io::Result<()> = clap_mangen::Man::new(chosen.clone()).render(&mut page);
        rendered?;
        Ok(output::write(&page)?)
    }
}
