import postgres from 'postgres'
import { AppError } from '../core/errors.ts'

/**
 * In solo mode BullMQ's tables lie in a database of their own beside the catalog, named after it with `_jobs`; it is made
 * where it is missing. @throws AppError CONFIG_INVALID where it cannot be
 */
export async function ensureJobsDatabase(catalogUrl: string): Promise<string> {
  const url = new URL(catalogUrl)
  const name = `${decodeURIComponent(url.pathname.slice(1))}_jobs`
  url.pathname = `/${encodeURIComponent(name)}`
  const sql = postgres(catalogUrl, { max: 1, fetch_types: false, onnotice: () => undefined })
  try {
    const known = await sql`select 1 from pg_database where datname = ${name}`
    if (known.length === 0) await sql`create database ${sql(name)}`
  } catch (error) {
    // Another process may have been faster.
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code !== '42P04' && code !== '23505') {
      if (code !== '42501') {
        throw new AppError('CATALOG_UNAVAILABLE', `CATALOG_URL: the catalog cannot be used (${code}).`, {
          cause: error,
        })
      }
      throw new AppError(
        'CONFIG_INVALID',
        `Without Redis, jobs need a database "${name}" beside the catalog: create it for this user, or set JOBS_URL or REDIS_URL.`,
        { cause: error },
      )
    }
  } finally {
    await sql.end()
  }
  return url.href
}
