// The section of clusters: who is written to, and how each host does.

import { make } from './element.js';
import { Table } from './table.js';
import { bytes, count, span } from './figures.js';

const text = (key, title, more = {}) => ({ key, title, ...more });
const figure = (key, title, write = count, more = {}) => ({ key, title, write, is_figure: true, ...more });
const or_none = (write) => (it) => (it === null || it === undefined || it === '' ? '–' : write(it));
const health = { up: 'good', doubtful: 'warn', down: 'bad', unknown: 'quiet' };

/** What the host is, as it concerns whoever looks after it. */
const role = (row) => (row.role.startsWith('refused') ? 'bad' : row.role === 'primary' ? 'good' : null);

export class Clusters {
  tables = ['clusters', 'hosts'];
  clusters = new Table({
    title: 'Clusters',
    none: 'No database follows a cluster.',
    key: (row) => row.name,
    sort: ['name', 'up'],
    columns: [
      text('name', 'Cluster', { kind: 'name' }),
      text('leader', 'Written to', {
        write: (it) => it || 'nobody',
        tone: (row) => (row.leader ? 'good' : 'bad'),
      }),
      text('state', 'Why nobody', { kind: 'long', write: or_none(String) }),
      figure('hosts_up', 'Hosts up', (it, row) => `${count(it)} of ${count(row.hosts)}`, {
        tone: (row) => (row.hosts_up < row.hosts ? 'warn' : 'good'),
      }),
      figure('waiting', 'Clients wait', count, { tone: (row) => (Number(row.waiting) > 0 ? 'bad' : 'quiet') }),
      text('databases', 'Databases', { kind: 'long' }),
    ],
  });
  hosts = new Table({
    title: 'Hosts',
    none: 'No cluster has hosts.',
    key: (row) => `${row.cluster}\0${row.host}\0${row.port}`,
    sort: ['cluster', 'up'],
    columns: [
      text('cluster', 'Cluster', { kind: 'name' }),
      text('host', 'Host', { kind: 'name', value: (row) => `${row.host}:${row.port}` }),
      text('role', 'Role', { tone: role }),
      text('health', 'Health', { tone: (row) => health[row.health] }),
      text('trouble_text', 'Trouble', { kind: 'long', write: or_none(String) }),
      figure('since_s', 'For', or_none(span)),
      figure('lag_bytes', 'Behind', or_none(bytes)),
      figure('sv_active', 'In use', or_none(count)),
      figure('sv_total', 'Connections', or_none(count)),
      figure('weight', 'Weight', count),
      text('zone', 'Zone', { write: or_none(String) }),
    ],
  });
  element = make('div', {}, this.clusters.element, this.hosts.element);

  show({ clusters, hosts }) {
    this.clusters.update(clusters);
    this.hosts.update(hosts);
  }
}
