import postgres from 'postgres'

/** Holds the feed's leadership in a transaction until it is killed: a leader that dies in the middle of a round. */
const sql = postgres(process.argv[2] ?? '', { max: 1 })
await sql.begin(async (tx) => {
  await tx`select position from feed_state for update`
  console.log('held')
  await new Promise(() => setInterval(() => undefined, 1_000))
})
