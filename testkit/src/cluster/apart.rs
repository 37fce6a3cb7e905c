//! Servers that have a network of their own (a network namespace of Linux), joined to everybody else's by one link that
//! can be unplugged. Root alone may make one; it goes with its server's last process, and the link with it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::account::Account;
use crate::program;
use crate::wait;

/// The server's end of the link.
const INSIDE: &str = "eth0";

/// Whether such servers can be made here, or why not.
pub fn allowed() -> Result<(), String> {
    let mut trial = Command::new("unshare");
    trial.args(["--net", "ip", "link", "add", INSIDE]);
    trial.args(["type", "veth", "peer", "name", "outside"]);
    let tried = trial.output().map_err(|error| error.to_string())?;
    match (Account::for_server(), tried.status.success()) {
        (Account::Other(_), true) => Ok(()),
        (Account::Own, _) => Err("only root may".to_owned()),
        (Account::Other(_), false) => Err(String::from_utf8_lossy(&tried.stderr).into_owned()),
    }
}

/// A server's address in its network. No two servers at a time have the same port, nor so the same address.
pub(super) fn address(port: u16) -> Ipv4Addr {
    net(port, 2)
}

/// Four addresses each, of 10.200.0.0/14.
fn net(port: u16, host: u8) -> Ipv4Addr {
    let [high, low] = port.to_be_bytes();
    Ipv4Addr::new(
        10,
        200 + (high >> 6),
        (high << 2) | (low >> 6),
        (low << 2) | host,
    )
}

/// A program that will run in a network of its own, under the servers' account.
pub(super) fn command(program: &Path) -> Command {
    let Account::Other(user) = Account::for_server() else {
        panic!("only root makes networks");
    };
    let mut command = Command::new("unshare");
    command.args(["--net", "setpriv", "--clear-groups"]);
    command.arg(format!("--reuid={}", user.uid));
    command.arg(format!("--regid={}", user.gid));
    command.arg(program);
    command
}

/// Joins the network of this process, which was started so, to ours.
#[track_caller]
pub(super) fn join(pid: u32, port: u16) {
    let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    wait::until("a network of its own", wait::LONG, || {
        let own = network(&pid.to_string());
        own.is_some() && own != network("self")
    });
    let outside = format!("portcullis{port}");
    let ip = |words: &str| run(Command::new("ip").args(words.split(' ')));
    let (ours, its) = (net(port, 1), net(port, 2));
    let [_, second, third, fourth] = its.octets();
    let mac = format!("02:00:00:{second:02x}:{third:02x}:{fourth:02x}");
    ip(&format!(
        "link add {outside} type veth peer name {INSIDE} address {mac} netns {pid}"
    ));
    ip(&format!("addr add {ours}/30 dev {outside}"));
    ip(&format!("link set {outside} up"));
    // What is sent while the link is unplugged is lost. Without this, the kernel would keep the first packets back for
    // as long as it asks who has the address, and send them when the link is there again within that time.
    ip(&format!(
        "neigh replace {its} lladdr {mac} nud permanent dev {outside}"
    ));
    inside(pid, "link set lo up");
    inside(pid, &format!("addr add {its}/30 dev {INSIDE}"));
    plug(pid, true);
}

/// Unplugs the link, or plugs it in again.
#[track_caller]
pub(super) fn plug(pid: u32, is_in: bool) {
    let state = if is_in { "up" } else { "down" };
    inside(pid, &format!("link set {INSIDE} {state}"));
}

#[track_caller]
fn inside(pid: u32, words: &str) {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{pid}/ns/net")).arg("ip");
    run(command.args(words.split(' ')));
}

#[track_caller]
fn run(command: &mut Command) {
    let output = program::output(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_a_network() {
        assert_eq!(address(20_000), Ipv4Addr::new(10, 201, 56, 130));
        assert_eq!(address(20_001), Ipv4Addr::new(10, 201, 56, 134));
        assert_eq!(address(u16::MAX), Ipv4Addr::new(10, 203, 255, 254));
        assert_eq!(net(20_000, 1), Ipv4Addr::new(10, 201, 56, 129));
    }
}
