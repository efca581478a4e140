#!/usr/bin/env node
// Runs the program of this platform with the same arguments, and exits as it does.
"use strict";

const { spawn } = require("node:child_process");
const { findProgram } = require("../index.js");

let child;
try {
  child = spawn(findProgram(), process.argv.slice(2), { stdio: "inherit" });
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
// Ctrl-C reaches both processes: the program decides when it ends.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`error: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
