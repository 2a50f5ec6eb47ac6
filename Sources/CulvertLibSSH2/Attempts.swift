internal import CLibSSH2
internal import CulvertSSH
internal import Glibc

/// Why a credential cannot be tried at all.
struct UnusableCredential: Error { let reason: String }

/// One credential that is being tried, in the form that libssh2 takes. Its memory stays where it is until the server
/// has answered.
@safe enum Attempt {
    /// `contents` and `passphrase` end in a NUL byte: libssh2 measures both with strlen.
    case key(name: String, contents: Secret, passphrase: Secret, isRSA: Bool)
    case signer(Signer)
    case password(Secret)
    case keyboardInteractive

    init(_ credential: Credential, passwordIsSpent: Bool) throws(UnusableCredential) {
        switch credential {
        case .keyFile(_, _, _, .some):
            // libssh2 reads no certificates; it can carry some that somebody else signs with.
            let opened: Credential
            do throws(UnusableKeyFile) { opened = try credential.opened() } catch {
                throw UnusableCredential(reason: error.description)
            }
            try self.init(opened, passwordIsSpent: passwordIsSpent)
        case .keyFile(let name, let contents, let passphrase, nil):
            let isRSA = unsafe contents.withBytes { unsafe PrivateKeyFile.isRSA($0) }
            guard let text = Self.terminated(contents), let phrase = passphrase.map(Self.terminated) ?? Self.empty
            else {
                throw UnusableCredential(reason: "\(name): a NUL byte in the key or its passphrase")
            }
            self = .key(name: name, contents: text, passphrase: phrase, isRSA: isRSA)
        case .signer(let name, let publicKey, let sign):
            guard let signer = unsafe Signer(name: name, publicKey: publicKey, sign: sign) else {
                throw UnusableCredential(reason: "\(name): not a public key")
            }
            self = .signer(signer)
        case .password(let password):
            guard !passwordIsSpent else {
                throw UnusableCredential(reason: "the server wants the password changed, which libssh2 cannot do here")
            }
            self = .password(password)
        case .keyboardInteractive:
            self = .keyboardInteractive
        }
    }

    private static var empty: Secret? {
        unsafe terminated(Secret(copying: unsafe UnsafeRawBufferPointer(start: nil, count: 0)))
    }

    /// A copy with a NUL at its end, nil when there is one within.
    private static func terminated(_ secret: Secret) -> Secret? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(secret.count + 1)
        unsafe secret.withBytes { unsafe bytes.append(contentsOf: $0) }
        let isClean = !bytes.contains(0)
        bytes.append(0)
        let copy = Secret(wiping: &bytes)
        return isClean ? copy : nil
    }
}

/// A key that somebody else holds. libssh2 asks for the bare signature; the agent gives type and signature.
@safe final class Signer {
    let name: String
    let publicKey: [UInt8]
    let type: [UInt8]
    let sign: (UnsafeRawBufferPointer) throws(SSHError) -> [UInt8]
    /// Why the signature could not be used, in words for the user.
    var reason: String?

    /// libssh2 keeps the exchange hash to itself, so the agent cannot be told which connection it signs for.
    static let boundKeys =
        "a key that is bound to destinations (ssh-add -h) does not work with libssh2: use --engine native"

    init?(
        name: String, publicKey: [UInt8], sign: @escaping (UnsafeRawBufferPointer) throws(SSHError) -> [UInt8]
    ) {
        let type = try? publicKey.read("a public key") { reader throws(SSHError) in try reader.bytes() }
        guard let type else { return nil }
        self.name = name
        self.publicKey = publicKey
        self.type = type
        unsafe self.sign = unsafe sign
    }

    var isRSA: Bool { type == Array("ssh-rsa".utf8) }

    /// The inner signature, which libssh2 puts behind the name of the key's type.
    func signature(_ data: UnsafeRawBufferPointer) throws(SSHError) -> [UInt8]? {
        let blob = try unsafe sign(data)
        let parts = try? blob.read("a signature") { reader throws(SSHError) in
            (type: try reader.bytes(), value: try reader.bytes(), isAll: reader.remaining == 0)
        }
        guard let parts else {
            reason = "\(name): the agent gave no signature"
            return nil
        }
        // Certificates of ECDSA keys sign under the plain name, and libssh2 knows that; others it would mislabel.
        let isECDSACertificate = type.starts(with: parts.type) && type.starts(with: "ecdsa-sha2-".utf8)
        guard parts.isAll, parts.type == type || isECDSACertificate else {
            let isCertificate = String(decoding: type, as: UTF8.self).hasSuffix("-cert-v01@openssh.com")
            reason =
                isCertificate
                ? "\(name): libssh2 has no certificates but of ECDSA keys: use --engine native"
                : "\(name): libssh2 cannot carry a signature of type \(PeerText(parts.type))"
            return nil
        }
        return parts.value
    }
}

/// What can be seen of a private key file without its passphrase.
enum PrivateKeyFile {
    /// Whether it holds an RSA key. Looks for the type in the public part of OpenSSH's format, or for the object
    /// identifier in PKCS#8, within the first bytes; PKCS#1 says it in its first line.
    static func isRSA(_ contents: UnsafeRawBufferPointer) -> Bool {
        var text = unsafe [UInt8](contents.prefix(4096))
        defer { unsafe text.withUnsafeMutableBytes { unsafe explicit_bzero($0.baseAddress!, $0.count) } }
        guard let begin = index(of: Array("-----BEGIN ".utf8), in: text) else { return false }
        guard let lineEnd = text[begin...].firstIndex(of: UInt8(ascii: "\n")) else { return false }
        if index(of: Array("RSA PRIVATE KEY".utf8), in: Array(text[begin..<lineEnd])) != nil { return true }
        var head = decoded(text[lineEnd...], limit: 160)
        defer { unsafe head.withUnsafeMutableBytes { unsafe explicit_bzero($0.baseAddress!, $0.count) } }
        let sshType: [UInt8] = [0, 0, 0, 7] + Array("ssh-rsa".utf8)
        let rsaEncryption: [UInt8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]
        return index(of: sshType, in: head) != nil || index(of: rsaEncryption, in: head) != nil
    }

    private static func index(of needle: [UInt8], in hay: [UInt8]) -> Int? {
        guard hay.count >= needle.count else { return nil }
        return (0...(hay.count - needle.count)).first { hay[$0...].starts(with: needle) }
    }

    /// Base64, line breaks skipped, up to `limit` bytes of result or the first character outside the alphabet.
    private static func decoded(_ text: ArraySlice<UInt8>, limit: Int) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(limit)
        var decoder = Base64.Decoder()
        for character in text where character != UInt8(ascii: "\n") && character != UInt8(ascii: "\r") {
            switch decoder.take(character) {
            case .nothing: break
            case .byte(let byte):
                result.append(byte)
                if result.count == limit { return result }
            case .refused: return result
            }
        }
        return result
    }
}

/// libssh2 asks for a signature; it frees what it is given.
typealias SignCallback =
    @convention(c) (
        OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, UnsafeMutablePointer<Int>?,
        UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32

let signCallback: SignCallback = { _, signature, length, data, count, abstract in
    guard let wire = unsafe abstract?.pointee?.assumingMemoryBound(to: Wire.self),
        let signer = unsafe wire.pointee.signer, let signature = unsafe signature, let length = unsafe length
    else { return -1 }
    let bytes: [UInt8]?
    do throws(SSHError) {
        bytes = try unsafe signer.signature(UnsafeRawBufferPointer(start: data, count: count))
    } catch {
        signer.reason = "\(signer.name): \(error); \(Signer.boundKeys)"
        return -1
    }
    guard let bytes, let copy = unsafe duplicate(bytes, wire) else { return -1 }
    unsafe signature.pointee = copy
    unsafe length.pointee = bytes.count
    return 0
}

/// One round of keyboard-interactive (RFC 4256 §3.2).
typealias AnswerCallback =
    @convention(c) (
        UnsafePointer<CChar>?, Int32, UnsafePointer<CChar>?, Int32, Int32,
        UnsafePointer<LIBSSH2_USERAUTH_KBDINT_PROMPT>?, UnsafeMutablePointer<LIBSSH2_USERAUTH_KBDINT_RESPONSE>?,
        UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Void

let answerCallback: AnswerCallback = {
    name, nameLength, instruction, instructionLength, count, prompts, answers, abstract in
    guard let wire = unsafe abstract?.pointee?.assumingMemoryBound(to: Wire.self),
        let answer = unsafe wire.pointee.answer, unsafe !wire.pointee.gaveUp, unsafe wire.pointee.thrown == nil
    else { return }
    func bytes(_ start: UnsafePointer<CChar>?, _ length: Int) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : max(0, length))
    }
    var list: [Challenge.Prompt] = []
    if let prompts = unsafe prompts {
        for place in 0..<Int(count) {
            let prompt = unsafe prompts[place]
            unsafe list.append(
                .init(text: PeerLines(bytes(prompt.text, Int(prompt.length))), echo: prompt.echo != 0))
        }
    }
    let challenge = unsafe Challenge(
        name: PeerText(bytes(name, Int(nameLength))),
        instruction: PeerLines(bytes(instruction, Int(instructionLength))), prompts: list)
    do throws(SSHError) {
        guard let secrets = try answer(challenge) else {
            unsafe wire.pointee.gaveUp = true
            return
        }
        guard let answers = unsafe answers else { return }
        for (place, secret) in secrets.prefix(Int(count)).enumerated() {
            unsafe answers[place].text = secret.withBytes { bytes in
                unsafe duplicate([UInt8](bytes), wire).map {
                    unsafe UnsafeMutableRawPointer($0).assumingMemoryBound(to: CChar.self)
                }
            }
            unsafe answers[place].length = UInt32(secret.count)
        }
    } catch {
        unsafe wire.pointee.thrown = error
    }
}

/// A copy that libssh2 frees.
private func duplicate(_ bytes: [UInt8], _ wire: UnsafeMutablePointer<Wire>) -> UnsafeMutablePointer<UInt8>? {
    guard let memory = unsafe wire.pointee.memory.allocate(bytes.count) else { return nil }
    unsafe memory.copyMemory(from: bytes, byteCount: bytes.count)
    return unsafe memory.assumingMemoryBound(to: UInt8.self)
}

extension LibSSH2Engine {
    private static let rsaReason =
        "libssh2 signs RSA keys with SHA-1 only, which this server refuses: use an Ed25519 or ECDSA key"

    /// Carries the attempt on; false while the server's answer is not there.
    mutating func advanceAttempt(_ authority: some LoginAuthority) throws(SSHError) -> Bool {
        guard let attempt = login.attempt else { preconditionFailure("a login attempt without a credential") }
        let user = authority.userName
        let result: Int32
        switch attempt {
        case .key(_, let contents, let passphrase, _):
            result = unsafe contents.withBytes { text in
                unsafe passphrase.withBytes { phrase in
                    unsafe libssh2_userauth_publickey_frommemory(
                        session, user, user.utf8.count, nil, 0, text.baseAddress?.assumingMemoryBound(to: CChar.self),
                        text.count - 1, phrase.baseAddress?.assumingMemoryBound(to: CChar.self))
                }
            }
        case .signer(let signer):
            unsafe wire.pointee.signer = signer
            var abstract: UnsafeMutableRawPointer? = unsafe UnsafeMutableRawPointer(wire)
            result = unsafe libssh2_userauth_publickey(
                session, user, signer.publicKey, signer.publicKey.count, signCallback, &abstract)
            unsafe wire.pointee.signer = nil
        case .password(let password):
            result = unsafe password.withBytes { bytes in
                unsafe libssh2_userauth_password_ex(
                    session, user, UInt32(user.utf8.count), bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
                    UInt32(bytes.count), nil)
            }
        case .keyboardInteractive:
            unsafe wire.pointee.answer = { challenge throws(SSHError) in try authority.answer(challenge) }
            result = unsafe libssh2_userauth_keyboard_interactive_ex(
                session, user, UInt32(user.utf8.count), answerCallback)
            unsafe wire.pointee.answer = nil
        }
        if let thrown = unsafe wire.pointee.thrown { throw end(thrown) }
        if result == LIBSSH2_ERROR_EAGAIN { return false }
        if unsafe libssh2_userauth_authenticated(session) == 1 {
            login.attempt = nil
            login.step = .done
            return true
        }
        try judge(attempt, result, authority)
        return true
    }

    /// The attempt has failed: by the server's word, by what libssh2 can do, or because the link is broken.
    private mutating func judge(
        _ attempt: Attempt, _ code: Int32, _ authority: some LoginAuthority
    ) throws(SSHError) {
        if unsafe wire.pointee.disconnectCode != nil || wire.pointee.fault != nil { throw end(error(code)) }
        let words = libraryWords().description
        var reason: String?
        // Whether more is asked for now shows only in a new list of methods, and that request may count as a failure:
        // it is spent only where a proof was really sent.
        var mayBePartial = false
        switch (attempt, code) {
        case (.key(let name, _, _, let isRSA), LIBSSH2_ERROR_AUTHENTICATION_FAILED):
            reason = isRSA ? "\(name): \(Self.rsaReason)" : nil
        case (.key, LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED), (.signer, LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED):
            if words.hasPrefix("Callback returned error") {
                reason = signingFailure(attempt)
            } else if words.hasPrefix("Invalid signature") {
                mayBePartial = true
            } else {
                throw end(error(code))
            }
        case (.key(let name, _, _, _), LIBSSH2_ERROR_FILE),
            (.key(let name, _, _, _), LIBSSH2_ERROR_KEYFILE_AUTH_FAILED),
            (.key(let name, _, _, _), LIBSSH2_ERROR_PROTO), (.key(let name, _, _, _), -1),
            (.key(let name, _, _, _), LIBSSH2_ERROR_METHOD_NONE):
            reason = "\(name): wrong passphrase, or a format that libssh2 cannot read (\(words))"
        case (.signer(let signer), LIBSSH2_ERROR_AUTHENTICATION_FAILED):
            reason = signer.isRSA ? "\(signer.name): \(Self.rsaReason)" : nil
        case (.password, LIBSSH2_ERROR_AUTHENTICATION_FAILED):
            // libssh2's words without "(username/password)": the answer was neither success nor failure.
            if words == "Authentication failed" {
                login.passwordIsSpent = true
                reason = "the server wants the password changed, which libssh2 cannot do here"
            } else {
                mayBePartial = true
            }
        case (.keyboardInteractive, LIBSSH2_ERROR_AUTHENTICATION_FAILED):
            mayBePartial = unsafe !wire.pointee.gaveUp
            unsafe wire.pointee.gaveUp = false
        case (.key, _), (.signer, _), (.password, _), (.keyboardInteractive, _):
            throw end(error(code))
        }
        refuse(authority, reason)
        if mayBePartial { login.step = .methods }
    }

    private func signingFailure(_ attempt: Attempt) -> String {
        switch attempt {
        case .signer(let signer): signer.reason ?? "\(signer.name): the agent would not sign"
        case .key(let name, _, _, _): "\(name): libssh2 could not sign with it"
        case .password, .keyboardInteractive: "no signature"
        }
    }
}
