internal import CulvertPlan
internal import CulvertSSH

/// RevokedHostKeys: a list of public keys, a line each, or a key revocation list. As with ssh a file that cannot be read
/// revokes every key, since nobody knows which it was to revoke.
struct RevokedKeysFile {
    let path: String

    /// In words that follow the key.
    enum Verdict: Equatable {
        case notRevoked
        case revoked
        case unreadable(String)
    }

    func verdict(on key: PublicKey) -> Verdict {
        let contents: [UInt8]
        do throws(LocalFile.Failure) { contents = try LocalFile(path: path).read() } catch {
            return .unreadable(error.why)
        }
        do throws(KeyRevocationList.Malformed) {
            let isRevoked =
                KeyRevocationList.isOne(contents)
                ? try KeyRevocationList.revokes(key, contents) : try Self.lists(key, contents)
            return isRevoked ? .revoked : .notRevoked
        } catch {
            return .unreadable(error.why)
        }
    }

    /// A line that is no key makes the whole file unreadable, as with ssh.
    private static func lists(_ key: PublicKey, _ contents: [UInt8]) throws(KeyRevocationList.Malformed) -> Bool {
        let plain = key.plain
        for (number, line) in contents.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            let words = line.filter { $0 != UInt8(ascii: "\r") }.words()
            guard let first = words.first, first.first != UInt8(ascii: "#") else { continue }
            guard let listed = PublicKey(words: Array(words)) else {
                throw KeyRevocationList.Malformed("line \(number + 1) is no public key")
            }
            if listed.plain == plain || listed.blob == key.certificate?.authority { return true }
        }
        return false
    }
}

extension HostKeyCheck {
    /// Throws for a key that a file of RevokedHostKeys has, or that one which cannot be read might have.
    func requireNotRevoked(_ key: PublicKey) throws(SSHError) {
        for path in server.paths(of: server.hostKeys.revokedKeysFiles) {
            switch RevokedKeysFile(path: path).verdict(on: key) {
            case .notRevoked: continue
            case .revoked:
                throw SSHError(
                    .hostKey,
                    "Host key verification failed: the \(key.described) of \(shownHost) is revoked by "
                        + "\(PeerText(path)) (RevokedHostKeys).")
            case .unreadable(let why):
                throw SSHError(
                    .hostKey,
                    "Host key verification failed: RevokedHostKeys \(PeerText(path)): \(why), so that every key counts "
                        + "as revoked.")
            }
        }
    }

    /// RequiredRSASize.
    func requireLength(_ key: PublicKey) throws(SSHError) {
        guard let bits = key.rsaBits, bits < server.hostKeys.requiredRSASize else { return }
        throw SSHError(
            .hostKey,
            "Host key verification failed: the RSA key of \(shownHost) has \(bits) bits, and RequiredRSASize asks for "
                + "\(server.hostKeys.requiredRSASize).")
    }
}
