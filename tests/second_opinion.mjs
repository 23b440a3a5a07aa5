// Asks the simulator one case per line of standard input and answers one line each: the result, or
// `error: ...`. Usage: node second_opinion.mjs FOLDER, where FOLDER holds `node_modules`.

import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const packages = join(process.argv[2], 'node_modules', '@cloud-copilot')
const load = (...parts) => import(pathToFileURL(join(packages, ...parts)).href)

const { loadPolicy } = await load('iam-policy', 'dist', 'esm', 'index.js')
const inside = (...parts) => load('iam-simulate', 'dist', 'esm', ...parts)
const { authorize } = await inside('core_engine', 'CoreSimulatorEngine.js')
const { AwsRequestImpl } = await inside('request', 'request.js')
const { RequestContextImpl } = await inside('requestContext.js')
const { anonymousPrincipal } = await inside('simulation_engine', 'simulation.js')
const { DiscoveryContextKeyConstraints } = await inside(
  'context_keys', 'discoveryContextKeyConstraints.js')

const named = (policies) => policies.map((policy, at) => loadPolicy(policy, { name: `p${at}` }))
const levels = (list) => list.map((policies, at) => (
  { orgIdentifier: `level-${at}`, policies: named(policies) }))

function decide({ policies, request }) {
  const principal = request.principal === 'anonymous' ? anonymousPrincipal : request.principal
  const analysis = authorize({
    request: new AwsRequestImpl(
      principal, { resource: request.resource, accountId: request.resource_account },
      request.action, new RequestContextImpl(request.context)),
    identityPolicies: named(policies.identity),
    permissionBoundaries: policies.boundary.length ? named(policies.boundary) : undefined,
    sessionPolicy: policies.session.length ? named(policies.session)[0] : undefined,
    serviceControlPolicies: levels(policies.scps),
    resourceControlPolicies: levels(policies.rcps),
    resourcePolicy: policies.resource ? named([policies.resource])[0] : undefined,
    vpcEndpointPolicies: policies.vpce.length ? named(policies.vpce) : undefined,
    simulationParameters: {
      simulationMode: 'Strict',
      discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([])
    },
    serviceSettings: { s3: {} }
  })
  return analysis.result
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    answer = decide(JSON.parse(line))
  } catch (error) {
    answer = `error: ${error}`
  }
  process.stdout.write(`${String(answer).replaceAll('\n', ' ')}\n`)
}
