// What fanout.yaml says, for k6.
import { check } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import http from 'k6/http';

export const options = { vus: 21, duration: __ENV.FOR };

const rows = new SharedArray('rows', () =>
  open(__ENV.ROWS).trimEnd().split('\n').slice(1).map((line) => {
    const [userId, sku, city] = line.split(',');
    return { userId, sku, city };
  }));
const params = { headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${__ENV.TOKEN}` } };
const checks = {
  'status is 200': (r) => r.status === 200,
  'code is 0': (r) => r.json('code') === 0,
};

export default function () {
  const row = rows[exec.scenario.iterationInTest % rows.length];
  const post = (name, event) => ['POST', `${__ENV.FUNCTIONS}/${name}`, JSON.stringify(event), params];
  const replies = http.batch([
    post('getUser', { userId: row.userId, city: row.city }),
    post('getCart', { userId: row.userId, sku: row.sku }),
    post('getOrders', { userId: row.userId, page: 1, size: 20 }),
  ]);
  for (const reply of replies) check(reply, checks);
  const id = replies[0].json('data.id');
  if (!id) throw new Error('the reply has no data.id');
}
