// Requests through @cloud-copilot/iam-simulate, one after the other.
//
//     node iam_simulate.cjs < {"policies": [text], "principal", "account", "requests", "rounds"}
//
// Prints {"answers": [overall result, or "error"], "seconds": processor time of the fastest round}.

const { runSimulation } = require('@cloud-copilot/iam-simulate')
const { readFileSync } = require('node:fs')

async function main() {
  const given = JSON.parse(readFileSync(0, 'utf8'))
  const identityPolicies = given.policies.map((text, n) => ({
    name: `p${n}`, policy: JSON.parse(text)
  }))
  const simulations = given.requests.map((request) => ({
    request: {
      principal: given.principal,
      action: request.action,
      resource: { resource: request.resource, accountId: given.account },
      contextVariables: request.context
    },
    identityPolicies, serviceControlPolicies: [], resourceControlPolicies: []
  }))
  let answers = []
  let seconds = Infinity
  for (let round = 0; round < given.rounds; round++) {
    const started = process.cpuUsage()
    const found = []
    for (const simulation of simulations) {
      const result = await runSimulation(simulation, {})
      found.push(result.resultType === 'error' ? 'error' : result.overallResult)
    }
    const taken = process.cpuUsage(started)
    seconds = Math.min(seconds, (taken.user + taken.system) / 1e6)
    answers = found
  }
  process.stdout.write(JSON.stringify({ answers, seconds }))
}

main()
