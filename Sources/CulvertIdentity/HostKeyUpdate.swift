internal import CulvertPlan
internal import CulvertSSH
internal import Glibc
internal import Synchronization

/// UpdateHostKeys for one link: what its server says of its host keys is compared with the user's files, proved by the
/// server, and written down as ssh does it. This process remembers it all the same where the files are left alone or cannot
/// be written, so that a server's new keys end no tunnel.
///
/// A key that is revoked stays so: that is looked at first, at each login.
final class HostKeyUpdate: HostKeyKeeper {
    private let server: ServerPlan
    private let memory: IdentityMemory
    private let prompter: (any Prompter)?
    private let notice: @Sendable (String) -> Void

    /// What waits for the server's proof.
    private let pending = Mutex<HostKeyFindings?>(nil)

    init(
        server: ServerPlan, memory: IdentityMemory, prompter: (any Prompter)?,
        notice: @escaping @Sendable (String) -> Void
    ) {
        self.server = server
        self.memory = memory
        self.prompter = prompter
        self.notice = notice
    }

    private var name: String { server.knownHostName }
    private var host: String { PeerText(name).description }
    private var files: [String] { server.paths(of: server.hostKeys.userKnownHostsFiles) }

    // MARK: What the server says

    func unproved(of offered: [[UInt8]]) -> [[UInt8]] {
        let named = offered.compactMap { PublicKey(blob: $0) }
        guard Set(named).count == named.count else {
            tell("The host keys of \(host) are not updated: it says one of them twice.")
            return []
        }
        let usable = named.filter(isTaken)
        guard !usable.isEmpty, let findings = findings(usable, named), !findings.isCurrent else { return [] }
        let unproved = findings.new.filter { !isProved($0, findings) }
        if unproved.isEmpty {
            update(findings)
            return []
        }
        pending.withLock { $0 = findings }
        return unproved.map(\.blob)
    }

    func take(_ proof: HostKeyProof?) {
        guard let asked = pending.withLock({ $0.take() }) else { return }
        guard let proof else {
            return tell("The host keys of \(host) are not updated: it does not prove that those it named are its own.")
        }
        guard let proven = proof.proven() else {
            return tell("The host keys of \(host) are not updated: its proof of one of those it named is false.")
        }
        // The files may be others now: other links of the server's wait for proofs too, and the user may have taken a key out
        // that was not to be proved.
        guard let now = findings(asked.offered, asked.named) else { return }
        let counted = asked.offered.filter { key in
            !now.new.contains(key) || proven.contains(key.blob) || isProved(key, now)
        }
        guard let findings = findings(counted, asked.named) else { return }
        update(findings)
    }

    /// What it proved before it need not prove again, unless the files were changed since.
    private func isProved(_ key: PublicKey, _ findings: HostKeyFindings) -> Bool {
        let known = memory.hostKeys(of: name).judged(by: findings.present)
        return known.areProved && known.keys.contains(key)
    }

    /// A plain key of a type that HostKeyAlgorithms takes.
    private func isTaken(_ key: PublicKey) -> Bool {
        let all = NativeAlgorithms.hostKeys
        let taken = (try? server.algorithms.hostKeys?.offer(standard: all, known: all)) ?? all
        return !key.isCertificate && PublicKey.algorithms(ofType: key.type).contains(where: taken.contains)
    }

    /// nil: a file cannot be read, which was said at the login.
    private func findings(_ offered: [PublicKey], _ named: [PublicKey]) -> HostKeyFindings? {
        do throws(SSHError) {
            return try HostKeyFindings(
                offered: offered, named: named, name: name, known: try read(.hosts([name])),
                holders: { keys throws(SSHError) in try read(.holders(of: keys)) })
        } catch {
            tell("The host keys of \(host) are not updated: \(error)")
            return nil
        }
    }

    private func read(_ interest: LineInterest) throws(SSHError) -> KnownHosts {
        var known = KnownHosts(interest)
        for path in files {
            do throws(LocalFile.Failure) { try known.add(fileAt: path) } catch .missing { continue } catch {
                throw SSHError(.local, "known hosts file \(PeerText(path)): \(error.why)")
            }
        }
        return known
    }

    // MARK: What is done

    private func update(_ findings: HostKeyFindings) {
        guard !findings.isCurrent, mayUpdate(findings) else { return }
        memory.learn(findings.offered, of: name, filed: findings.present)
        if let obstacle = findings.obstacle {
            return tell(
                "\(words(findings)) This process takes them; known_hosts is left as it is, because \(obstacle.why).")
        }
        do {
            var isChanged = false
            for (number, path) in files.enumerated() {
                if try rewrite(path, findings, isFirst: number == 0) { isChanged = true }
            }
            memory.learn(findings.offered, of: name, filed: findings.updated)
            if isChanged { notice(words(findings)) }
        } catch {
            let why = (error as? LocalFile.Failure)?.why ?? "its name would be a pattern there"
            tell("\(words(findings)) This process takes them, but known_hosts cannot be written: \(why).")
        }
    }

    private func rewrite(_ path: String, _ findings: HostKeyFindings, isFirst: Bool) throws -> Bool {
        let lock = DirectoryLock(of: path)
        defer { lock.release() }
        guard lock.isHeld else { throw LocalFile.Failure.system(EBUSY) }
        do {
            return try LocalFile(path: path).replace { contents throws(KnownHosts.NotAName) in
                try KnownHosts.updated(
                    contents, name: name, keys: findings.named, adding: isFirst ? findings.offered : [],
                    hashed: server.hostKeys.hashKnownHosts)
            }
        } catch LocalFile.Failure.missing {
            return false
        }
    }

    /// UpdateHostKeys, and the user where it says `ask`.
    private func mayUpdate(_ findings: HostKeyFindings) -> Bool {
        switch server.hostKeys.update {
        case .no: return false
        case .yes: return true
        case .ask: break
        }
        guard let prompter else { return false }
        var question = "\(words(findings))\nAccept updated hostkeys? (yes/no): "
        for _ in 0..<Self.questions {
            guard let answer = try? prompter.ask(question, echo: true, seconds: promptSeconds) else { return false }
            switch unsafe answer.withBytes({ unsafe String(decoding: $0, as: UTF8.self) }).lowercased() {
            case "yes": return true
            case "no": return false
            default: question = "Please enter \"yes\" or \"no\": "
            }
        }
        return false
    }

    /// As often as ssh asks.
    private static let questions = 3

    /// One line for a person.
    private func words(_ findings: HostKeyFindings) -> String {
        var parts: [String] = []
        if !findings.new.isEmpty { parts.append("new: \(Self.list(findings.new))") }
        if !findings.old.isEmpty { parts.append("no more in use: \(Self.list(findings.old))") }
        return
            "\(host) has updated its host keys, shown by the one that was trusted (\(parts.joined(separator: "; ")))."
    }

    private static func list(_ keys: [PublicKey]) -> String { keys.map(\.described).joined(separator: ", ") }

    private func tell(_ line: String) {
        if memory.isNews(line) { notice(line) }
    }
}
