//! Owns the rules between settings: what contradicts what, each with what to do about it.

/// Settings that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Neither a TCP address nor a Unix socket.
    #[error("nobody could connect: name an address, or a unix_socket_dir")]
    NothingToListenOn,
    /// A load balancer's header, and nobody to believe it of.
    #[error(
        "proxy_protocol = \"require\" needs proxy_trusted, the addresses of your load balancers"
    )]
    ProxyTrustedNeeded,
    /// Load balancers, and no header.
    #[error(
        "proxy_protocol = \"{mode}\" makes no use of proxy_trusted; remove it, or write \"require\""
    )]
    ProxyTrustedUnused {
        /// The word that switches the header off.
        mode: &'static str,
    },
    /// The same address twice.
    #[error("an address stands here twice; remove one of them")]
    AddressTwice,
    /// The path of a Unix socket has 107 bytes at most (unix(7)).
    #[error(
        "the socket's path would have {length} bytes and the system allows 107; choose a shorter directory"
    )]
    SocketPathTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// TLS without a certificate.
    #[error(
        "TLS with clients needs a certificate and a private_key; name both files (mode = \
         \"disable\" would do without, and show every byte to the network)"
    )]
    CertificateNeeded,
    /// One half of a pair.
    #[error("{given} is of no use without {missing}; set both, or neither")]
    HalfPair {
        /// The one there.
        given: &'static str,
        /// The other.
        missing: &'static str,
    },
    /// A setting that the chosen mode never reads.
    #[error("mode = \"{mode}\" makes no use of {setting}; remove it, or choose {instead}")]
    Unused {
        /// The setting.
        setting: &'static str,
        /// The mode.
        mode: &'static str,
        /// The modes that read it, in words.
        instead: &'static str,
    },
    /// Certificates of clients cannot be judged without an authority.
    #[error(
        "{wanted} needs client_ca in the listener's TLS section, the certificate authority of your \
         clients"
    )]
    ClientCaNeeded {
        /// What needs it.
        wanted: &'static str,
    },
    /// `verify-ca` with the system's authorities, who sign for anybody.
    #[error(
        "mode = \"verify-ca\" needs ca = the file of your own authority: the system's sign for \
         anybody, so only mode = \"verify-full\" makes sense with them"
    )]
    AnybodysCertificate,
    /// Mode pin without pins.
    #[error(
        "mode = \"pin\" needs pin = \"sha256:…\"; `openssl x509 -in server.crt -noout -fingerprint \
         -sha256` prints it"
    )]
    PinNeeded,
    /// Direct TLS has no way back to plain text.
    #[error(
        "negotiation = \"direct\" needs a mode that always encrypts; \"verify-full\" is the safe one"
    )]
    DirectNeedsTls,
    /// No channel to bind to.
    #[error("channel_binding = \"require\" needs a mode that always encrypts")]
    BindingNeedsTls,
    /// Only SCRAM binds to the channel.
    #[error(
        "channel_binding = \"require\" needs method = \"scram-sha-256\", which alone can do it"
    )]
    BindingNeedsScram,
    /// PostgreSQL speaks no TLS over Unix sockets.
    #[error(
        "PostgreSQL speaks no TLS over a Unix socket; write mode = \"disable\" in the TLS section of this host, or name the host"
    )]
    UnixHostWithTls,
    /// A list of ports that does not fit the hosts.
    #[error("there are {ports} ports for {hosts} hosts; give one port, or one for each host")]
    PortsDoNotFit {
        /// Number of ports.
        ports: usize,
        /// Number of hosts.
        hosts: usize,
    },
    /// A password without its user.
    #[error("whose password? Set {user} as well")]
    PasswordWithoutUser {
        /// The setting for the user.
        user: &'static str,
    },
    /// Two places for one secret.
    #[error("the password comes from a file or from a variable, not from both; remove one")]
    TwoPasswords,
    /// Trust that the listener does not allow.
    #[error("\"trust\" lets anybody in; if that is wanted, set allow_trust = true in [listen]")]
    TrustNotAllowed,
    /// A method that must not run in plain text.
    #[error(
        "method = \"{method}\" works inside TLS only; set mode = \"require\" in the TLS section of \
         every listener ([listen.tls], [listener.tls])"
    )]
    MethodNeedsTls {
        /// The method.
        method: &'static str,
    },
    /// A method that needs to know users, and no place to look them up.
    #[error(
        "nobody could log in with \"{method}\": name the users with auth_file, or look them up with auth_user"
    )]
    NoUsers {
        /// The method.
        method: &'static str,
    },
    /// A setting of auth_query without auth_user.
    #[error("{setting} is read only when users are looked up; set auth_user as well")]
    AuthUserNeeded {
        /// The setting.
        setting: &'static str,
    },
    /// A database that is not configured.
    #[error("no [[database]] has this name; name one that exists, or add it")]
    NoSuchDatabase,
    /// Without `$1` the query would look up the same user for everybody.
    #[error("the query must use $1, which stands for the user's name")]
    QueryWithoutUser,
    /// Numbers over a network, unencrypted.
    #[error(
        "other machines reach this address, so it needs TLS: set certificate and private_key, or \
         listen on 127.0.0.1"
    )]
    MetricsNeedTls,
    /// Literals in a file, and nobody said that they may be.
    #[error(
        "this writes literals or values into a file that is not sealed: name a recipient in [query_log] \
         (`portcullis audit keygen` makes one), or write plaintext_log = true if they may be there"
    )]
    PlaintextLog,
    /// Changes of what nobody looks at.
    #[error(
        "changes are found in the statistics by pattern: write statements = true in [inspection]"
    )]
    ChangesUnseen,
    /// Events or spans in the clear.
    #[error(
        "this shows what is sent to everybody on the way and lets them change it: use https://, or write \
         plain_http = true if that may be"
    )]
    PlainHttp,
    /// No URL.
    #[error("it must begin with https://")]
    NoUrl,
    /// An authority for no certificate.
    #[error("http:// shows no certificate; remove this, or use https://")]
    AuthorityWithoutTls,
    /// An audit that loses records.
    #[error(
        "audit = \"before\" loses no record: write on_full = \"refuse\" (no statement without its record) \
         or \"block\" (statements wait)"
    )]
    AuditThatLoses,
    /// An audit of a sample.
    #[error(
        "audit = \"before\" is about every statement: remove sample_per_million, or write audit = \"async\""
    )]
    AuditOfSome,
    /// A method beside the rules.
    #[error("auth_hba_file has the methods; remove this, or write it as a rule there")]
    RulesHaveMethods,
    /// A mapping that nothing reads.
    #[error(
        "certificate names are read by method = \"cert\" and by mode = \"verify-full\" in [listen.tls]; choose one, or remove this"
    )]
    MapUnused,
    /// A setting that the chosen profile has a value for.
    #[error(
        "profile = \"{profile}\" has its own {setting}; remove one of them, or choose profile = \
         \"custom\""
    )]
    ProfileFixes {
        /// The setting.
        setting: &'static str,
        /// The profile.
        profile: &'static str,
    },
    /// No version left.
    #[error("min_version is above max_version; no version is left")]
    VersionsCross,
    /// Two places for one passphrase.
    #[error("the passphrase comes from a file or from a command, not from both; remove one")]
    TwoPassphrases,
    /// Resumed sessions skip the verification of the client's certificate.
    #[error(
        "a resumed session would not look at the client's certificate again, nor at client_crl; \
         remove session_tickets, or client_ca"
    )]
    TicketsWithClientCertificates,
    /// Revocation lists of nobody.
    #[error("revocation lists are of no use without client_ca, the authority that they are of")]
    CrlWithoutAuthority,
    /// A listener without addresses.
    #[error("a further listener needs at least one address; name it, or remove the section")]
    ListenerWithoutAddress,
    /// A section for a host that its database does not have.
    #[error("the database above has no such host; name one of its hosts as it is written there")]
    NoSuchHost,
    /// A section for a host that its cluster's list does not have.
    #[error(
        "the cluster above has no host {host}{}; name one of its hosts",
        nearest.as_ref().map(|it| format!(", but {it}")).unwrap_or_default()
    )]
    NoSuchMember {
        /// What is written.
        host: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// Two sections for the same host.
    #[error("this host has a section above already; remove one of them")]
    HostTwice,
    /// More connections ready than there may be.
    #[error("{least} connections can't be kept ready in a pool of {size}; lower min_pool_size")]
    PoolBelowLeast {
        /// `min_pool_size`.
        least: u32,
        /// The pool's size.
        size: u32,
    },
    /// Users of a console that is not there.
    #[error("console = false leaves these users no console; remove them, or write true")]
    NoConsole,
    /// Rules without a word about all other statements.
    #[error(
        "rules need [policy] with default = \"allow\" or \"deny\"; write what becomes of all other statements"
    )]
    NoPolicyDefault,
    /// Views are to be seen, and nobody may look.
    #[error(
        "somebody has to read the catalogs of every database: set catalog_user, or auth.auth_user, or a user \
         for each database"
    )]
    NobodyLooks,
    /// A rule behind one that decides about everything.
    #[error(
        "this rule is never reached: {name:?} before it decides about everything; change their order"
    )]
    NeverReached {
        /// The rule before it.
        name: String,
    },
    /// Something else than rules in a file of rules.
    #[error("a file named in rules_file holds [[rule]]s and nothing else")]
    RulesAlone,
    /// A rule without what its action is about.
    #[error("action = \"{action}\" needs {needed}")]
    RuleWithout {
        /// The action.
        action: &'static str,
        /// What one of it has to say, in words.
        needed: &'static str,
    },
    /// A rule that leads by what comes too late.
    #[error(
        "values of parameters come when it is decided where a statement goes; remove parameter"
    )]
    RouteByParameter,
    /// A rule that leads nobody.
    #[error("no [[database]] has its statements led; set route_reads for one, or remove this rule")]
    NobodyIsLed,
    /// A setting that a rule's action never reads.
    #[error("action = \"{action}\" makes no use of {setting}; remove it, or choose \"{instead}\"")]
    RuleUnused {
        /// The setting.
        setting: &'static str,
        /// The action.
        action: &'static str,
        /// The action that reads it.
        instead: &'static str,
    },
    /// Connections are no statements.
    #[error(
        "connections_per_s is about clients that come: {setting} is about statements; write two rules"
    )]
    RuleOnConnections {
        /// The other setting.
        setting: &'static str,
    },
    /// Rules are learned into the file that they come from while it is in force.
    #[error(
        "learn and rules_file name the same file; learn first, and then name it in rules_file alone"
    )]
    LearnsItsOwn,
    /// A parameter without values, or values without a parameter.
    #[error("parameter and parameter_value belong together; write both")]
    ParameterInHalf,
    /// More rules on parameters than are told apart.
    #[error("only {most} rules may have a parameter")]
    TooManyParameterRules {
        /// How many.
        most: usize,
    },
    /// A database without servers.
    #[error("where are its servers? Set host, or cluster")]
    NoServers,
    /// What the hosts of a cluster have of their own.
    #[error("the hosts of a cluster have their own; write it in [[cluster]], or remove cluster")]
    ClusterHasIt,
    /// A choice among hosts of no cluster.
    #[error("{setting} chooses among the hosts of a cluster; set cluster as well, or remove it")]
    ClusterNeeded {
        /// The setting.
        setting: &'static str,
    },
    /// A cluster that is not configured.
    #[error("no [[cluster]] has this name; name one that exists, or add it")]
    NoSuchCluster,
    /// A route to a database that is not configured.
    #[error("no [[database]] serves this name; write one that clients could ask for, or add it")]
    NoDatabaseOfRoute,
    /// A route without conditions.
    #[error(
        "this route would take every client; write a condition (database, user, server_name, application, option, \
         address)"
    )]
    RouteForAll,
    /// A route that changes nothing.
    #[error(
        "where does this route lead? Set to, a database, or target, which hosts of its cluster"
    )]
    RouteNowhere,
    /// A choice among the hosts of no cluster.
    #[error(
        "target chooses among the hosts of a cluster, and database {name:?} is of none; set to or database to one that \
         is, or remove target"
    )]
    TargetOfNoCluster {
        /// The database.
        name: String,
    },
    /// Reads that go to standbys anyway.
    #[error(
        "route_reads leads reads away from the primary; write target = \"primary\", or remove route_reads"
    )]
    RoutesFromPrimary,
    /// Sessions that keep their server.
    #[error(
        "with pool_mode = \"session\" a client keeps its server; route_reads needs \"transaction\" or \
         \"statement\""
    )]
    RoutesTransactions,
    /// A setting about copies of which there are none.
    #[error("{setting} is about copies of statements; set mirror as well, or remove it")]
    MirrorNeeded {
        /// The setting.
        setting: &'static str,
    },
    /// Copies from or to whatever a client names.
    #[error("statements are copied from one database to one other; \"*\" is neither, name both")]
    MirrorOfAny,
    /// A database that is copied to itself.
    #[error("this is the database itself; name another one")]
    MirrorOfItself,
    /// Copies of copies.
    #[error("{to:?} has a mirror of its own; copies are not copied again: remove one of them")]
    MirrorOfMirrored {
        /// The mirror.
        to: String,
    },
    /// A mirror that nobody can log in to without a client.
    #[error(
        "copies are sent without a client, as one role: {to:?} needs user, with password_file or password_env"
    )]
    MirrorNeedsUser {
        /// The mirror.
        to: String,
    },
    /// Sessions whose requests are not looked at one by one.
    #[error(
        "with pool_mode = \"session\" requests are not looked at one by one; mirror needs \"transaction\" or \
         \"statement\""
    )]
    MirrorsTransactions,
    /// A cluster without hosts.
    #[error("which hosts? Set one of hosts, dns, srv, members_file, patroni and etcd")]
    NoMembers,
    /// Hosts from two places.
    #[error("the hosts come from one place; {first} names it already, so remove this, or {first}")]
    TwoSourcesOfMembers {
        /// The first one's setting.
        first: &'static str,
    },
    /// A setting of a place that the hosts do not come from.
    #[error("this is read only where the hosts come from {of}; set that as well, or remove this")]
    OtherSourceOfMembers {
        /// Its setting, or settings.
        of: &'static str,
    },
    /// The same host twice.
    #[error("a host stands here twice; remove one of them")]
    MemberTwice,
    /// Pauses that are shorter than the usual ones.
    #[error(
        "a host that is down would be asked more often than one that is up; check_pause_max has to be \
             check_interval at least"
    )]
    PauseBelowInterval,
    /// Peers that could not tell this instance from another.
    #[error("peers know this instance by its number; set peer_id in [listen]")]
    PeerIdNeeded,
    /// A role made of parts that the pattern does not capture.
    #[error("{{{name}}} is in no part of certificate; write it there to capture it")]
    NotCaptured {
        /// The name.
        name: String,
    },
}
