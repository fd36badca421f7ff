// What k6 sends: the same request as plain.yaml.
import http from 'k6/http';

export const options = { vus: 64, duration: __ENV.FOR };

const body = open('body.json');
const params = { headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${__ENV.TOKEN}` } };

export default function () {
  http.post(__ENV.URL, body, params);
}
