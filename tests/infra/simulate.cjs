// Evaluates IAM requests: a JSON list of simulations on stdin, a list of `true` (allowed) and `false` on stdout.
const { createRequire } = require("node:module");
const { readFileSync } = require("node:fs");

const { runSimulation } = createRequire(`${process.argv[2]}/`)("@cloud-copilot/iam-simulate");

async function main() {
  const results = [];
  for (const simulation of JSON.parse(readFileSync(0, "utf8"))) {
    const result = await runSimulation(simulation, {});
    if (result.resultType === "error") throw new Error(JSON.stringify(result.errors));
    results.push(result.overallResult === "Allowed");
  }
  process.stdout.write(JSON.stringify(results));
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
