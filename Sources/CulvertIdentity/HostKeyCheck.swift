internal import CulvertPlan
internal import CulvertSSH
internal import Glibc

/// The check of one login's host key against the files, the memory and the user. The files are read once.
final class HostKeyCheck {
    let server: ServerPlan
    let memory: IdentityMemory
    /// nil: nobody may be asked.
    let prompter: (any Prompter)?
    let notice: @Sendable (String) -> Void

    private var found: Result<KnownHosts, SSHError>?
    /// The key was trusted in a way that lets others be learned by it.
    private var keepsKeys = false

    init(
        server: ServerPlan, memory: IdentityMemory, prompter: (any Prompter)?,
        notice: @escaping @Sendable (String) -> Void
    ) {
        self.server = server
        self.memory = memory
        self.prompter = prompter
        self.notice = notice
    }

    var name: String { server.knownHostName }

    /// The address that is connected to, without a port; nil: it is not known, as behind a program or a jump host.
    var address: String?

    /// As ssh has it: its home directory may be on many machines, each of which calls itself so.
    private var isLocalhost: Bool {
        guard server.hostKeys.trustsLocalhost, server.hostKeys.alias == nil, let address else { return false }
        return address == "::1" || address.hasPrefix("127.")
    }

    func verify(_ blob: [UInt8]) throws(SSHError) {
        guard let shown = PublicKey(blob: blob) else {
            throw SSHError(.protocolViolation, "the server's host key is malformed (RFC 4253 section 6.6)")
        }
        try requireLength(shown)
        try requireNotRevoked(shown)
        if isLocalhost { return }
        var known = try known()
        try addCommandLines(to: &known, .hostName, shown)
        for line in known.malformedMarkers(about: name) {
            let warning = "\(line.place): this line is not used: \(line.why)"
            if memory.isNews(warning) { notice(warning) }
        }
        let key = shown.plain
        var remark = authorityRemark(known)
        if let certificate = shown.certificate {
            switch try judge(shown, certificate, known) {
            // The authority's word is new at each login: nothing is kept.
            case .trusted: return
            case .plain(let why): remark = "its certificate \(why)"
            }
        }
        let verdict = verdict(key, known)
        let accepted = remembered(known)
        let decision = HostKeyPolicy.decide(
            key, verdict: verdict, accepted: accepted,
            checking: server.hostKeys.checking, mayAsk: prompter != nil)
        switch decision {
        case .trust:
            try checkAddress(key, known)
            if remembers { memory.set(hostKey: key, of: name) }
            keepsKeys = mayLearn(key, verdict, known, accepted)
        case .ask:
            tellMalformed(known)
            switch try userTrusts(key) {
            case true?:
                try checkAddress(key, known)
                try accept(key)
                keepsKeys = true
            case false?:
                throw SSHError(.hostKey, "Host key verification failed: the key of \(shownHost) was not accepted.")
            case nil:
                throw HostKeyRefusal(key: key, server: server, remark: remark).error(.unknown, notice: notice)
            }
        case .add:
            tellMalformed(known)
            try checkAddress(key, known)
            try accept(key)
        case .refuse(let refusal):
            if case .unknown = refusal { tellMalformed(known) }
            if case .changed = refusal { tellOfAddress(key, known) }
            throw HostKeyRefusal(key: key, server: server, remark: remark).error(refusal, notice: notice)
        }
    }

    /// Algorithms of keys that would be accepted, in our order of preference: first those of certificates, where an authority
    /// is known for the host.
    func algorithms() throws(SSHError) -> [String] {
        // A file that cannot be read is reported by `verify`, which always follows.
        guard var known = try? known() else { return [] }
        // As with ssh: what HostKeyAlgorithms says whole is not put into another order.
        let change = server.algorithms.hostKeys?.change ?? .append
        if change == .append || change == .remove { try addCommandLines(to: &known, .order, nil) }
        var types = known.keys(for: name).map(\.type)
        if types.isEmpty, let fallback = portlessName { types = known.keys(for: fallback).map(\.type) }
        let remembered = remembered(known)
        if types.isEmpty || remembered.areProved { types += remembered.keys.map(\.type) }
        let preferred = [
            "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
            "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", "ssh-rsa",
        ]
        let plain = preferred.filter(types.contains).flatMap { PublicKey.algorithms(ofType: $0) }
        let hasAuthority = [name, portlessName].contains { $0.flatMap { known.authority(for: $0) } != nil }
        return (hasAuthority ? NativeAlgorithms.hostKeys.filter { $0.contains("-cert-") } : []) + plain
    }

    var shownHost: String { PeerText(name).description }

    /// Whoever checks no keys and keeps none (`StrictHostKeyChecking=no`, `UserKnownHostsFile=/dev/null`) means servers that
    /// change: nothing is kept between logins, as where each has a process of its own.
    private var remembers: Bool { server.hostKeys.checking != .no || server.hostKeys.keepsNewKeys }

    /// What this process knows of the host by itself.
    private func remembered(_ known: KnownHosts) -> IdentityMemory.TrustedKeys {
        guard remembers else { return .none }
        let files = server.paths(of: server.hostKeys.userKnownHostsFiles)
        let filed = known.entries.filter {
            $0.marker == .none && files.contains($0.place.file) && $0.hosts.matches(name)
        }
        return memory.hostKeys(of: name).judged(by: Set(filed.map(\.key)))
    }

    /// As ssh has it: where the key is in a file of the user's under the very name. A key that only this process knows teaches
    /// others where it was proved, and no file was changed since: nothing is written into a file that says otherwise.
    private func mayLearn(
        _ key: PublicKey, _ verdict: KnownHosts.Verdict, _ known: KnownHosts, _ accepted: IdentityMemory.TrustedKeys
    ) -> Bool {
        switch verdict {
        case .known:
            guard case .known(let place) = known.judge(key, name: name) else { return false }
            return server.paths(of: server.hostKeys.userKnownHostsFiles).contains(place.file)
                && !server.paths(of: server.hostKeys.globalKnownHostsFiles).contains(place.file)
        case .changed, .unknown: return accepted.areProved
        case .revoked: return false
        }
    }

    /// Who learns the server's other keys; nil where its key was not trusted in such a way, or nobody is to.
    var keeper: (any HostKeyKeeper)? {
        guard keepsKeys, server.hostKeys.update != .no, server.hostKeys.update != .ask || prompter != nil else {
            return nil
        }
        return HostKeyUpdate(server: server, memory: memory, prompter: prompter, notice: notice)
    }

    /// As ssh does: a key that is known for the host without a port is good for its other ports too. nil: not asked.
    var portlessName: String? {
        server.hostKeys.alias == nil && server.destination.port != 22 ? server.destination.host.lowercased() : nil
    }

    private func verdict(_ key: PublicKey, _ known: KnownHosts) -> KnownHosts.Verdict {
        let verdict = known.judge(key, name: name)
        guard let portlessName else { return verdict }
        switch (verdict, known.judge(key, name: portlessName)) {
        case (_, .revoked(let place)): return .revoked(place)
        case (.unknown, .known(let place)): return .known(place)
        case (.known, _), (.unknown, _), (.changed, _), (.revoked, _): return verdict
        }
    }

    private func known() throws(SSHError) -> KnownHosts {
        if let found { return try found.get() }
        let result: Result<KnownHosts, SSHError>
        do throws(SSHError) {
            result = .success(try read(.hosts([name] + [portlessName, addressName].compactMap(\.self))))
        } catch {
            result = .failure(error)
        }
        found = result
        return try result.get()
    }

    private func read(_ interest: LineInterest) throws(SSHError) -> KnownHosts {
        var known = KnownHosts(interest)
        for path in server.paths(of: server.hostKeys.userKnownHostsFiles + server.hostKeys.globalKnownHostsFiles) {
            do throws(LocalFile.Failure) {
                try known.add(fileAt: path)
            } catch .missing {
                continue
            } catch {
                // As ssh, which says nothing of it; what the file would revoke is not revoked.
                notice("Warning: known hosts file \(PeerText(path)) is passed over: \(error.why)")
            }
        }
        return known
    }

    private func tellMalformed(_ known: KnownHosts) {
        for line in known.malformed(about: name) where !line.hasMarker {
            notice("\(line.place): this line is not used: \(line.why)")
        }
    }

    /// nil: nobody answered.
    private func userTrusts(_ key: PublicKey) throws(SSHError) -> Bool? {
        guard let prompter else { return nil }
        let holders = try read(.holders(of: [key]))
        var question = HostKeyQuestion.text(
            host: shownHost, key: key, others: holders.otherPlaces(of: key, name: name))
        while true {
            guard let answer = try prompter.ask(question, echo: true, seconds: promptSeconds) else {
                return nil
            }
            switch HostKeyQuestion.read(answer, key: key) {
            case .yes: return true
            case .no: return false
            case .unclear: question = HostKeyQuestion.again
            }
        }
    }

    private func accept(_ key: PublicKey) throws(SSHError) {
        guard remembers else { return }
        switch memory.accept(key, of: name) {
        case .same: return
        case .other(let other):
            throw HostKeyRefusal(key: key, server: server).error(.changedSinceAccepted(other), notice: notice)
        case .new: break
        }
        keep(key, of: name, added: "'\(shownHost)' (\(key.family))")
    }

    /// Writes a line of it; `added`: what is said to have been. What cannot be written is told, and ends nothing.
    func keep(_ key: PublicKey, of name: String, added: String) {
        guard let path = server.hostKeys.userKnownHostsFiles.first.flatMap(server.resolved) else { return }
        makeDirectory(for: path)
        let shown = PeerText(name).description
        do {
            let line = try KnownHosts.line(for: key, name: name, hashed: server.hostKeys.hashKnownHosts)
            let lock = DirectoryLock(of: path)
            defer { lock.release() }
            try LocalFile(path: path).append(line: line)
            notice("Warning: Permanently added \(added) to the list of known hosts.")
        } catch let failure as LocalFile.Failure {
            notice("The key of \(shown) could not be added to \(PeerText(path)): \(failure.why).")
        } catch {
            notice(
                "The key of \(shown) could not be added to \(PeerText(path)): its name would be a pattern there.")
        }
    }

    /// As ssh does, `~/.ssh` is made when it is missing, and no other directory: a mistyped path is no wish for one.
    private func makeDirectory(for path: String) {
        let directory = server.home + "/.ssh"
        // Mostly it is there already; when it can neither be made nor used, opening the file tells.
        if path.hasPrefix(directory + "/") { _ = unsafe mkdir(directory, 0o700) }
    }
}
