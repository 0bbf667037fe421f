import type { JsonObject } from '../../core/json/canonical.ts'

const text = { type: 'string', minLength: 1 }
const digest = { type: 'string', pattern: '^(sha256|sha512):[0-9a-f]{64,128}$' }

/**
 * Schemas that a company can register by name: what has to be known to reconstruct the state of a running system at a
 * moment. `ledger.asOf` says which of their streams are missing.
 */
export const readySchemas: Readonly<Record<string, JsonObject>> = {
  /** What ran. */
  code: {
    type: 'object',
    properties: { repository: text, commit: text, artifact: digest, version: text },
    required: ['repository', 'commit'],
  },
  /** What it was told. */
  config: {
    type: 'object',
    properties: { name: text, values: { type: 'object' }, digest },
    required: ['name', 'values'],
  },
  /** Where it ran. */
  environment: {
    type: 'object',
    properties: { name: text, region: text, host: text, runtime: text, dependencies: { type: 'object' } },
    required: ['name'],
  },
  /** What changed. */
  mutation: {
    type: 'object',
    properties: {
      entity: text,
      id: text,
      operation: { enum: ['create', 'update', 'delete'] },
      before: {},
      after: {},
      reason: text,
    },
    required: ['entity', 'id', 'operation'],
  },
}
