import CulvertSSH

@testable import CulvertIdentity

/// Whether known_hosts could hold the key, under this type.
func identityKnows(_ blob: [UInt8], type: String) -> Bool {
    PublicKey(blob: blob)?.type == type
}

extension FuzzTarget {
    /// Files of known hosts (sshd(8)). The first line is the host to look for.
    static let knownHosts = FuzzTarget(
        "KnownHosts", maximumLength: 1500,
        seeds: {
            let key = "ssh-ed25519 " + Base64.encode(FuzzKeys.ed25519Blob)
            let hashed = HostList.hashing("host", salt: [UInt8](repeating: 3, count: 20)).text
            return [
                "host\nhost \(key)\n", "host\n\(hashed) \(key) comment\n", "a.b\n*.b,!c.b \(key)\n# no\n\n",
                "[h]:22\n[h]:22,1.2.3.4 \(key)\r\n@revoked * \(key)\n", "h\n@cert-authority * \(key)\n@what h \(key)\n",
                "h\nh ssh-rsa AAAA\nh\n|1|x|y \(key)\n",
            ].map { Array($0.utf8) }
        }
    ) { bytes in
        let parts = bytes.split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(decoding: parts.first ?? [], as: UTF8.self)
        var known = KnownHosts()
        known.add(Array(parts.count > 1 ? parts[1] : []), file: "file\u{7}")
        let lines = parts.count > 1 ? parts[1].count { $0 == 10 } + 1 : 1
        promise(known.entries.count + known.malformed.count <= lines, "a line is read once")
        let keys = known.keys(for: name)
        for key in keys { promise(PublicKey(blob: key.blob) == key, "a key is its blob") }
        guard let own = PublicKey(blob: FuzzKeys.ed25519Blob) else { fatalError("a fixed key is one") }
        switch known.judge(own, name: name) {
        case .known(let place):
            promise(keys.contains(own), "a key that is known would be accepted")
            promise(isOneSafeLine(place.description), "a place is safe to show")
        case .unknown: promise(keys.isEmpty, "a host without a key is unknown")
        case .changed(let entry):
            promise(!keys.contains(own) && entry.hosts.matches(name), "another key of this host is known")
        case .revoked: promise(!keys.contains(own), "a revoked key is never accepted")
        }
        for line in known.malformed { promise(isOneSafeLine(line.why), "a mistake is told in a line") }
        _ = known.malformed(about: name)
        for entry in known.otherPlaces(of: own, name: name) {
            promise(!entry.hosts.matches(name), "other places are about others")
        }
        for entry in known.entries {
            if case .hashed = entry.hosts {
                promise(HostList(Array(entry.hosts.text.utf8)[...]) == entry.hosts, "what is written is what was read")
            }
        }
    }

    /// What an agent answers (RFC 9987), and base64. First byte: which question.
    static let agent = FuzzTarget(
        "Agent", maximumLength: 1500,
        seeds: {
            let key = FuzzKeys.ed25519Blob
            let signature = FuzzKeys.sign([1, 2, 3])
            let login =
                Wire.string("session") + [50] + Wire.string("user") + Wire.string("ssh-connection")
                + Wire.string("publickey") + [1] + Wire.string("ssh-ed25519") + Wire.string(key)
            return [
                [0, 12] + Wire.uint32(2) + Wire.string(key) + Wire.string("mine") + Wire.string("x") + Wire.string(""),
                [0, 12] + Wire.uint32(-1), [0, 5], [1, 14] + Wire.string(signature), [2] + login,
                [3] + Array("AAAAC3NzaC1lZDI1NTE5AAAA=".utf8), [3] + Array("QQ==".utf8),
            ]
        }
    ) { bytes in
        guard let mode = bytes.first else { return }
        let payload = Array(bytes.dropFirst())
        switch mode & 3 {
        case 0:
            guard let keys = AgentMessages.identities(payload) else { return }
            promise(keys.count <= payload.count / 8, "each key has its bytes")
            for key in keys { promise(isOneSafeLine(key.key.described), "a key is safe to show") }
        case 1:
            for algorithm in ["ssh-ed25519", "rsa-sha2-512"] {
                if case .blob(let blob) = AgentMessages.signature(payload, algorithm: algorithm) {
                    promise(blob.starts(with: Wire.string(algorithm)), "a signature has the algorithm's name")
                }
            }
        case 2:
            guard let key = PublicKey(blob: FuzzKeys.ed25519Blob) else { fatalError("a fixed key is one") }
            if let name = LoginData.algorithm(in: payload, key: key.blob) {
                promise(isOneSafeLine(name), "an algorithm is a name")
            }
        default:
            guard let decoded = Base64.decode(payload) else { return }
            promise(Array(Base64.encode(decoded).utf8) == payload, "two texts never mean the same bytes")
        }
    }

    /// What a key file looks like from outside, before any passphrase. Property: what is called plain is no riddle.
    static func lookAtKeyFile(_ contents: [UInt8]) {
        do throws(KeyFile.Unusable) {
            let file = try KeyFile(contents)
            if let key = file.publicKey { promise(PublicKey(blob: key.blob) == key, "a key is its blob") }
        } catch {
            promise(isOneSafeLine(error.why), "a mistake is told in a line")
        }
        _ = KeyFile.publicLine(contents)
    }
}
