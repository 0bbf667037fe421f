import type { CompanyId } from '../../core/ids.ts'
import { createLoader, createShardLoader } from '../../loaders/keyed.ts'
import type { LoaderFactory, LoaderFamily } from '../../loaders/registry.ts'
import { readRelationshipStreams, type StreamRecord } from '../../network/read-relationship-streams.ts'
import { type Neighbourhood, type NeighbourhoodSize, readNeighbourhoods } from '../../network/neighbourhood.ts'
import {
  type CompanyPage,
  noStats,
  readPartners,
  readRelationshipPages,
  readRelationshipStats,
  type RelationshipListing,
  type RelationshipStats,
} from '../../network/read-relationships.ts'
import type { Relationship, RelationshipId } from '../../network/relationship.ts'
import { readEdges } from '../../network/relationship-edges.ts'
import { readUsers, type User } from '../../network/users.ts'

/** One side's edge. */
export interface EdgeKey {
  readonly companyId: CompanyId
  readonly id: RelationshipId
}

const edgeText = ({ companyId, id }: EdgeKey): string => `${companyId} ${id}`

export const edgeOf: LoaderFactory<EdgeKey, Relationship | null> = (context) =>
  createShardLoader<EdgeKey, Relationship | null>(context, {
    companyOf: ({ companyId }) => companyId,
    textOf: edgeText,
    load: async (sql, keys) => new Map((await readEdges(sql, keys)).map((edge) => [edgeText(edge), edge])),
    missing: null,
  })

/** The same page of many companies, each with its company: loaders of one set of arguments each. */
export const relationshipPage: LoaderFamily<RelationshipListing, CompanyId, CompanyPage> = (context, listing) =>
  createShardLoader<CompanyId, CompanyPage>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: (sql, ids) => readRelationshipPages(sql, ids, listing),
    missing: { company: null, page: { edges: [], hasNextPage: false } },
  })

export const relationshipStats: LoaderFactory<CompanyId, RelationshipStats> = (context) =>
  createShardLoader<CompanyId, RelationshipStats>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: readRelationshipStats,
    missing: noStats,
  })

/** Its companies lie on any shard, so that no key belongs to one. */
export const neighbourhood: LoaderFamily<NeighbourhoodSize, CompanyId, Neighbourhood> = (context, size) =>
  createLoader<CompanyId, Neighbourhood>(
    context,
    (id) => id,
    (ids) => readNeighbourhoods(context.store, ids, size, context.scope),
  )

export const partnersOf: LoaderFactory<CompanyId, ReadonlySet<CompanyId>> = (context) =>
  createShardLoader<CompanyId, ReadonlySet<CompanyId>>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: readPartners,
    missing: new Set<CompanyId>(),
  })

/** What one company's ledger holds of a relationship. */
export const relationshipRecords: LoaderFactory<EdgeKey, readonly StreamRecord[]> = (context) =>
  createShardLoader<EdgeKey, readonly StreamRecord[]>(context, {
    companyOf: ({ companyId }) => companyId,
    textOf: edgeText,
    load: async (sql, keys) => {
      const streams = await readRelationshipStreams(sql, context.store.deployment, keys)
      return new Map(keys.map((key) => [edgeText(key), streams.get(key) ?? []]))
    },
    missing: [],
  })

export const usersOf: LoaderFactory<CompanyId, readonly User[]> = (context) =>
  createShardLoader<CompanyId, readonly User[]>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: readUsers,
    missing: [],
  })
