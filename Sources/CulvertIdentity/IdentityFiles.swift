internal import CulvertPlan
internal import CulvertSSH

/// An identity file that may be of use: its private part in the file, or only its public part (the private one is then
/// in the agent), or only its certificate. At least one of the three is there.
struct IdentityFile: Hashable, Sendable {
    let path: String
    /// As the user named it.
    let shown: String
    /// nil: no private key that may be used.
    let privatePart: KeyFile?
    let publicKey: PublicKey?
    /// There is no private key at all, or it is a hardware key's that no helper asks, where another file has one that may not be used.
    let isPublicOnly: Bool
    /// The one beside it, by its name or in place of the public key, or the file itself where that is one.
    let certificate: UserCertificate?

    /// Of a public part whose private one no agent has.
    var whyNoPrivatePart: String {
        publicKey?.isHardware == true
            ? "a hardware key, and OpenSSH's ssh-sk-helper is not here: it works through an agent: `ssh-add \(PeerText(shown))`"
            : "only its public part is here, and no agent has the private one"
    }

    /// For messages: `~/.ssh/id_ed25519 (ED25519 SHA256:…)`.
    var described: String {
        let name = PeerText(shown).description
        return publicKey.map { "\(name) (\($0.described))" } ?? name
    }
}

/// The identity files of a plan, looked at once for a login. What is wrong with one is told, not thrown: another
/// one may do.
struct IdentityFiles {
    private(set) var files: [IdentityFile] = []
    /// Those that are named by themselves.
    private(set) var certificates: [UserCertificate] = []
    /// Lines for `attempted`: files that are there and cannot be used, with the reason.
    private(set) var unusable: [String] = []
    /// Lines for the user.
    private(set) var warnings: [String] = []

    private let server: ServerPlan

    init(_ server: ServerPlan) {
        self.server = server
        let named: [String]? = if case .listed(let files) = server.login.identityFiles { files } else { nil }
        var seen: Set<String> = []
        for shown in named ?? ServerPlan.defaultIdentityFiles + ServerPlan.defaultHardwareFiles {
            guard let path = server.resolved(shown), seen.insert(path).inserted else { continue }
            look(
                path, shown: shown, explicit: named != nil, hasCertificate: server.login.certificateFiles.isEmpty)
        }
        seen = []
        for shown in server.login.certificateFiles {
            guard let path = server.resolved(shown), seen.insert(path).inserted else { continue }
            do throws(UserCertificate.Unusable) {
                certificates.append(try UserCertificate(path: path, shown: shown))
            } catch {
                pass(shown, error)
            }
        }
    }

    private mutating func look(_ path: String, shown: String, explicit: Bool, hasCertificate: Bool) {
        let name = PeerText(shown).description
        let line = Self.publicKey(beside: path)
        var publicKey = line
        var privatePart: KeyFile?
        var isPublicOnly = false
        do {
            let key = try Self.keyFile(path)
            // The file's own word counts more than that of the file beside it.
            publicKey = key.publicKey ?? line?.plain
            isPublicOnly =
                switch key.format {
                case .publicOnly: true
                case .hardware: server.login.securityKeyHelper?.program == nil
                case .openSSH, .pem: false
                }
            if !isPublicOnly { privatePart = key }
        } catch .file(.missing) {
            isPublicOnly = publicKey != nil
            if publicKey == nil, explicit {
                warnings.append("Warning: Identity file \(name) not accessible: \(LocalFile.Failure.missing.why).")
                unusable.append("key \(name) not used: \(LocalFile.Failure.missing.why)")
            }
        } catch .file(.openToOthers(let mode)) {
            let why = LocalFile.Failure.openToOthers(mode: mode).why
            warnings.append(
                "WARNING: UNPROTECTED PRIVATE KEY FILE! \(name): \(why), so this key is ignored. "
                    + "`chmod 600 \(name)` mends it.")
            unusable.append("key \(name) not used: \(why)")
        } catch {
            warnings.append("Identity file \(name) is not used: \(error.why).")
            unusable.append("key \(name) not used: \(error.why)")
        }
        let certificate =
            if let publicKey, publicKey.isCertificate {
                itself(path, shown, publicKey)
            } else if let line, line.isCertificate {
                itself(path + ".pub", shown + ".pub", line)
            } else if hasCertificate {
                beside(path, shown)
            } else {
                UserCertificate?.none
            }
        guard publicKey != nil || privatePart != nil || certificate != nil else { return }
        files.append(
            IdentityFile(
                path: path, shown: shown, privatePart: privatePart, publicKey: publicKey, isPublicOnly: isPublicOnly,
                certificate: certificate))
    }

    /// The certificate that lies beside a key by ssh's name for it; nil: none that can be used, which is told.
    private mutating func beside(_ path: String, _ shown: String) -> UserCertificate? {
        let suffix = "-cert.pub"
        do throws(UserCertificate.Unusable) {
            return try UserCertificate(path: path + suffix, shown: shown + suffix)
        } catch .file(.missing) {
            return nil
        } catch {
            pass(shown + suffix, error)
            return nil
        }
    }

    /// Of a file that is a certificate.
    private mutating func itself(_ path: String, _ shown: String, _ key: PublicKey) -> UserCertificate? {
        do throws(UserCertificate.Unusable) {
            return try UserCertificate(path: path, shown: shown, key: key)
        } catch {
            pass(shown, error)
            return nil
        }
    }

    /// Without a warning, as with ssh: a certificate comes with a key that may do by itself.
    private mutating func pass(_ shown: String, _ unusable: UserCertificate.Unusable) {
        self.unusable.append("certificate \(PeerText(shown)) not used: \(unusable.why)")
    }

    enum Failure: Error {
        case file(LocalFile.Failure)
        case contents(KeyFile.Unusable)

        var why: String {
            switch self {
            case .file(let failure): failure.why
            case .contents(let unusable): unusable.why
            }
        }
    }

    /// What the file is; its contents are wiped again.
    private static func keyFile(_ path: String) throws(Failure) -> KeyFile {
        var contents: [UInt8]
        do throws(LocalFile.Failure) {
            contents = try LocalFile(path: path).read(secret: true)
        } catch {
            // A public key may be read by everybody, also when `-i` names it.
            if case .openToOthers = error, let key = publicKeyFile(path) { return key }
            throw .file(error)
        }
        defer { contents.wipe() }
        do throws(KeyFile.Unusable) {
            return try KeyFile(contents)
        } catch {
            throw .contents(error)
        }
    }

    private static func publicKeyFile(_ path: String) -> KeyFile? {
        guard var contents = try? LocalFile(path: path).read() else { return nil }
        defer { contents.wipe() }
        guard let key = try? KeyFile(contents), key.format == .publicOnly else { return nil }
        return key
    }

    private static func publicKey(beside path: String) -> PublicKey? {
        guard let contents = try? LocalFile(path: path + ".pub").read() else { return nil }
        return KeyFile.publicLine(contents)
    }
}
