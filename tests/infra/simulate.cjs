// Evaluates IAM requests: policies and simulations as JSON on stdin, a list of `true` (allowed) and `false` on stdout.
// A simulation refers to its identity policy by its index. There are many requests of few policies and few resources.
const { createRequire } = require("node:module");
const { dirname, join } = require("node:path");
const { readFileSync } = require("node:fs");

const requireTool = createRequire(`${process.argv[2]}/`);
const requireOfTool = createRequire(requireTool.resolve("@cloud-copilot/iam-simulate"));
rememberResourceTypes();
const { runSimulation } = requireTool("@cloud-copilot/iam-simulate");
const { createValidatedPolicy, validateIdentityPolicy } = requireOfTool("@cloud-copilot/iam-policy");

// The simulator matches a resource with all patterns of its service for every request, which takes 80 % of its time.
function rememberResourceTypes() {
  const module = require(join(dirname(requireOfTool.resolve("@cloud-copilot/iam-utils")), "resourceTypes.js"));
  const find = module.mostSpecificMatchingResourceTypePatterns;
  const found = new Map();
  module.mostSpecificMatchingResourceTypePatterns = (resource, patterns) => {
    const key = JSON.stringify([resource, patterns]);
    if (!found.has(key)) found.set(key, find(resource, patterns));
    return found.get(key);
  };
}

async function main() {
  const asked = JSON.parse(readFileSync(0, "utf8"));
  const policies = asked.policies.map((policy) => createValidatedPolicy(policy, validateIdentityPolicy));
  const results = [];
  for (const { policy, ...simulation } of asked.simulations) {
    const identityPolicies = [{ name: "own", policy: policies[policy] }];
    const result = await runSimulation({ ...simulation, identityPolicies }, {});
    if (result.resultType === "error") throw new Error(JSON.stringify(result.errors));
    results.push(result.overallResult === "Allowed");
  }
  process.stdout.write(JSON.stringify(results));
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
