//! Settings of peers.

use config::{CaSource, Config, HostAddress, ServerTls, ServerTrust};

const LEAST: &str = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n\
    [auth]\nauth_file = \"users.txt\"\n[[database]]\nname = \"app\"\nhost = \"h\"\n";

fn read(text: &str) -> Result<Config, String> {
    match Config::from_text(&format!("{LEAST}{text}"), "p.toml") {
        Ok((config, _)) => Ok(config),
        Err(invalid) => Err(invalid.errors.iter().map(|it| format!("{it}\n")).collect()),
    }
}

#[test]
fn an_instance_alone_has_no_number() {
    let config = read("").expect("a configuration");
    assert_eq!(config.listen.peer_id, None);
    assert_eq!(config.peers, []);
}

#[test]
fn peers_are_met_as_servers_are() {
    let config = read(
        "[listen]\npeer_id = 1\n[[peer]]\nid = 1\nhost = \"me\"\n[[peer]]\nid = 2\nhost = \"b\"\n\
         [peer.tls]\nca = \"/ca.crt\"\n[[peer]]\nid = 16383\nhost = \"/run/c\"\nport = 7\n\
         [peer.tls]\nmode = \"disable\"\n",
    )
    .expect("a configuration");
    assert_eq!(config.listen.peer_id, Some(1));
    let [second, third] = config.peers.as_slice() else {
        panic!("{:#?}", config.peers);
    };
    assert_eq!((second.id, second.host.port), (2, 6432));
    assert_eq!(second.host.address, HostAddress::Name("b".to_owned()));
    let ServerTls::On(tls) = &second.tls else {
        panic!("TLS towards peers is off by default");
    };
    let expected = ServerTrust::AuthorityAndName(CaSource::File("/ca.crt".into()));
    assert_eq!(tls.trust, expected);
    assert_eq!((third.id, third.host.port), (16383, 7));
    assert_eq!(third.host.address, HostAddress::UnixDir("/run/c".into()));
    assert_eq!(third.tls, ServerTls::Disabled);
}

#[test]
fn peers_need_numbers() {
    let cases = [
        (
            "[[peer]]\nid = 2\nhost = \"b\"\n",
            "p.toml:10:6: peer.id: peers know this instance by its number; set peer_id in \
             [listen]\n",
        ),
        (
            "[listen]\npeer_id = 1\n[[peer]]\nid = 2\nhost = \"b\"\n[[peer]]\nid = 2\nhost = \"c\"\n",
            "p.toml:15:6: peer.id: this is the same as in line 12; remove one of them\n",
        ),
        (
            "[listen]\npeer_id = 1\n[[peer]]\nid = 16384\nhost = \"b\"\n",
            "p.toml:12:6: peer.id: this is out of bounds; allowed is 1 to 16383\n",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text).err().as_deref(), Some(expected));
    }
}
