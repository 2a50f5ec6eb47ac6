internal import CulvertPlan
internal import CulvertSSH

/// The words for a host key that is not trusted: a warning nobody overlooks, the place, and the mend.
struct HostKeyRefusal {
    let key: PublicKey
    let server: ServerPlan
    /// What is to be said of a certificate, as a clause: of one that does not count, or that there is none.
    var remark: String?

    private var sent: String { Self.words(key) }

    private static func words(_ key: PublicKey) -> String { "\(key.family) key \(key.fingerprint)" }

    private var host: String { PeerText(server.knownHostName).description }

    /// The error, after the lines of the warning have gone to `notice`.
    func error(_ refusal: HostKeyPolicy.Refusal, notice: (String) -> Void) -> SSHError {
        switch refusal {
        case .changed(let entry):
            warn("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", notice)
            notice("Somebody may be listening in between (man in the middle), or the server has got a new key.")
            notice("It sent the \(sent).")
            notice("Known for \(host) is the \(Self.words(entry.key)), in \(entry.place).")
            notice("Ask who runs the server. If the new key is right, take the old one out and connect again:")
            notice("    ssh-keygen -f \(Self.quoted(entry.place.file)) -R \(Self.quoted(server.knownHostName))")
            return SSHError(
                .hostKey,
                "Host key verification failed: the key of \(host) is not the one in \(entry.place) "
                    + "(got \(sent)).")
        case .changedSinceAccepted(let accepted):
            warn("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!", notice)
            notice("Since this process first connected to \(host), its key has become another one.")
            notice("It sent the \(sent); accepted was the \(Self.words(accepted)).")
            notice("Ask who runs the server. If the new key is right, start again.")
            return SSHError(
                .hostKey,
                "Host key verification failed: the key of \(host) has changed since it was accepted "
                    + "(got \(sent)).")
        case .revoked(let place):
            warn("WARNING: REVOKED HOST KEY DETECTED!", notice)
            notice("The \(sent) of \(host) is marked as revoked in \(place).")
            notice("It may have been stolen: whoever holds it can pretend to be the server.")
            return SSHError(.hostKey, "Host key verification failed: the key of \(host) is revoked in \(place).")
        case .authorityRevoked(let authority, let place):
            warn("WARNING: REVOKED HOST KEY DETECTED!", notice)
            notice("The \(sent) of \(host) has a certificate of the authority \(authority.described),")
            notice("which is marked as revoked in \(place): whoever holds it can pretend to be the server.")
            return SSHError(
                .hostKey,
                "Host key verification failed: the authority of the certificate of \(host) is revoked in \(place).")
        case .unknown:
            return SSHError(.hostKey, "Host key verification failed: \(unknownWords)")
        }
    }

    private var unknownWords: String {
        let what = "no known_hosts file has the \(sent) of \(host)" + (remark.map { ", and \($0)" } ?? "")
        switch server.hostKeys.checking {
        case .yes:
            return "\(what), and StrictHostKeyChecking=yes takes only known ones."
        case .ask, .acceptNew, .no:
            return "\(what), and nobody can be asked here; `-o StrictHostKeyChecking=accept-new` adds it unasked."
        }
    }

    private func warn(_ headline: String, _ notice: (String) -> Void) {
        let rule = String(repeating: "@", count: headline.count + 8)
        notice(rule)
        notice("@   \(headline)   @")
        notice(rule)
    }

    /// For a shell: what the user copies must be one word.
    private static func quoted(_ text: String) -> String {
        "'"
            + PeerText(text).description.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: "'\\''") + "'"
    }
}
