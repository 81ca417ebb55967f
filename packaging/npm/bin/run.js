// Starts a program from the package of this platform. The program itself is not JavaScript: once it is
// installed, `awsso mcp install` writes its own path into an assistant's settings, and node is out of the way.
const { spawn } = require("node:child_process");
const path = require("node:path");

module.exports = (program) => {
  const platform = `@awsso/${process.platform}-${process.arch}`;
  let found;
  try {
    const folder = path.dirname(require.resolve(`${platform}/package.json`));
    found = path.join(folder, process.platform === "win32" ? `${program}.exe` : program);
  } catch {
    console.error(`awsso has no package for this platform (${platform}), or it was not installed (npm's --omit=optional)`);
    process.exit(1);
  }
  const child = spawn(found, process.argv.slice(2), { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`${found}: ${error.message}`);
    process.exit(126);
  });
  child.on("exit", (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    else process.exit(code);
  });
};
