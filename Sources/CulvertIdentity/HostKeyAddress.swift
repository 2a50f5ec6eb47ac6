internal import CulvertPlan
internal import CulvertSSH

/// CheckHostIP: what is known of the address beside what is known of the name. It can refuse what the name's key would have
/// been trusted for, and never the other way round.
extension HostKeyCheck {
    /// The address as known_hosts has it; nil: it is not looked at. As with ssh that is so for loopback, where an alias
    /// stands for the host, and where the host is named by its address.
    var addressName: String? {
        guard server.hostKeys.checksAddress, server.hostKeys.alias == nil, let address,
            address != "::1", !address.hasPrefix("127."), address != server.destination.host.lowercased()
        else { return nil }
        return server.destination.port == 22 ? address : "[\(address)]:\(server.destination.port)"
    }

    /// Under which the memory has what the user agreed to: no host is called so.
    private func consent(_ addressName: String) -> String { "address \(addressName)" }

    /// The name's key is trusted. Throws where the address is known for another one, and nobody agrees to that.
    func checkAddress(_ key: PublicKey, _ known: KnownHosts) throws(SSHError) {
        guard let addressName else { return }
        let shown = PeerText(addressName).description
        switch known.judge(key, name: addressName) {
        case .known: return
        case .unknown:
            guard memory.isNews("\(consent(addressName)) \(key.fingerprint)") else { return }
            keep(key, of: addressName, added: "the \(key.family) host key for IP address '\(shown)'")
        case .revoked(let place):
            throw SSHError(
                .hostKey, "Host key verification failed: the key is revoked for the address \(shown), in \(place)")
        case .changed(let entry):
            let why = "the \(key.family) host key for '\(shownHost)' differs from the key for the IP address '\(shown)'"
            if memory.hostKeys(of: consent(addressName)).keys.contains(key) { return }
            notice("Warning: \(why)")
            notice("Offending key for IP in \(entry.place)")
            switch server.hostKeys.checking {
            case .no, .acceptNew: return
            case .ask: if try userAgrees(to: why) { return memory.set(hostKey: key, of: consent(addressName)) }
            case .yes: break
            }
            throw SSHError(
                .hostKey,
                "Host key verification failed: \(why), in \(entry.place) (CheckHostIP=no looks at the name only)")
        }
    }

    /// The name's key has changed: whether the address's has, too.
    func tellOfAddress(_ key: PublicKey, _ known: KnownHosts) {
        guard let addressName else { return }
        let shown = PeerText(addressName).description
        switch known.judge(key, name: addressName) {
        case .changed: return
        case .known: notice("The key for the IP address \(shown) is this one: possible DNS spoofing.")
        case .unknown: notice("The key for the IP address \(shown) is unknown: possible DNS spoofing.")
        case .revoked(let place): notice("The key for the IP address \(shown) is revoked, in \(place).")
        }
    }

    private func userAgrees(to why: String) throws(SSHError) -> Bool {
        guard let prompter else { return false }
        var question = "\(why).\nAre you sure you want to continue connecting (yes/no)? "
        while let answer = try prompter.ask(question, echo: true, seconds: promptSeconds) {
            switch HostKeyQuestion.read(answer) {
            case .yes: return true
            case .no: return false
            case .unclear: question = HostKeyQuestion.yesOrNo
            }
        }
        return false
    }
}
