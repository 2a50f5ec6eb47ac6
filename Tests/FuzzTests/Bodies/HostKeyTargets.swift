import Crypto

@testable import CulvertSSH

/// Keys of a scripted server: the same in every run, and worth nothing.
enum FuzzKeys {
    private static func fixed<Key>(_ make: ([UInt8]) throws -> Key) -> Key {
        do { return try make((0..<32).map { UInt8($0) &* 5 &+ 1 }) } catch {
            fatalError("a fixed key is one: \(error)")
        }
    }
    static let ed25519 = fixed { try Curve25519.Signing.PrivateKey(rawRepresentation: $0) }
    static let ed25519Blob = Wire.string("ssh-ed25519") + Wire.string(Array(ed25519.publicKey.rawRepresentation))
    static let p256 = fixed { try P256.Signing.PrivateKey(rawRepresentation: $0) }

    static func sign(_ data: [UInt8]) -> [UInt8] {
        guard let signature = try? ed25519.signature(for: data) else { fatalError("Ed25519 signs anything") }
        return Wire.string("ssh-ed25519") + Wire.string(Array(signature))
    }
}

extension FuzzTarget {
    private static let signedData: [UInt8] = Array("what the server signs".utf8)

    /// A server's key and its signature (RFC 4253 §6.6). First byte: the algorithm; two bytes: how long the key's blob is.
    static let hostKeys = FuzzTarget(
        "HostKeys", maximumLength: 1500,
        seeds: {
            func seed(_ scheme: UInt8, _ blob: [UInt8], _ signature: [UInt8]) -> [UInt8] {
                [scheme, UInt8(blob.count >> 8), UInt8(blob.count & 255)] + blob + signature
            }
            let point = Array(FuzzKeys.p256.publicKey.x963Representation)
            guard let raw = try? FuzzKeys.p256.signature(for: signedData).rawRepresentation else { return [] }
            // Not known: whether r and s begin with a bit that needs a zero before it. The first byte is never zero here.
            let numbers = Wire.string([0] + Array(raw.prefix(32))) + Wire.string([0] + Array(raw.suffix(32)))
            let modulus = [0xc1] + [UInt8](repeating: 0x5b, count: 254) + [0x5d]
            let rsa =
                Wire.string("ssh-rsa") + Wire.string([1, 0, 1]) + Wire.string([0] + modulus)
            return [
                seed(0, FuzzKeys.ed25519Blob, FuzzKeys.sign(signedData)),
                seed(
                    1, Wire.string("ecdsa-sha2-nistp256") + Wire.string("nistp256") + Wire.string(point),
                    Wire.string("ecdsa-sha2-nistp256") + Wire.string(numbers)),
                seed(6, rsa, Wire.string("rsa-sha2-512") + Wire.string(modulus.map { $0 / 2 })),
                seed(7, rsa, Wire.string("rsa-sha2-256") + Wire.string([1])),
            ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let scheme = SignatureScheme.allCases[Int(input.byte()) % SignatureScheme.allCases.count]
        let blob = input.take(input.uint16())
        let signature = input.rest()
        do throws(SSHError) {
            let key = try HostKey(blob: blob, scheme: scheme)
            promise(identityKnows(blob, type: scheme.keyType), "a key that the engine takes is one for known_hosts too")
            try key.verify(signature: signature, over: signedData)
            promise(signature.count > 20, "a short signature is none")
        } catch {
            promise(error.kind == .keyExchange, "a false key ends the exchange: \(error)")
            promise(isOneSafeLine(error.description), "an error is one line")
        }
    }

    /// The peer's part of a key exchange. First byte: the method and the role.
    static let keyShares = FuzzTarget(
        "KeyShares", maximumLength: 1300,
        seeds: {
            let point = [UInt8](repeating: 9, count: 32)
            let lattice = [UInt8](repeating: 0, count: 1184) + point
            let nist = Array(FuzzKeys.p256.publicKey.x963Representation)
            let number = [UInt8](repeating: 0x55, count: 256)
            return [
                [0] + point, [2] + [UInt8](repeating: 1, count: 1088) + point, [3] + lattice, [1] + point, [4] + nist,
                [5] + nist, [12] + [UInt8](repeating: 1, count: 1088) + nist,
                [13] + [UInt8](repeating: 0, count: 1184) + nist, [10] + number, [11] + number, [14] + number,
                [16] + [UInt8](repeating: 1, count: 1039) + point, [17] + [UInt8](repeating: 0, count: 1158) + point,
            ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        let mode = input.byte()
        let methods: [KeyAgreementMethod] = [
            .curve25519, .mlkem768x25519, .ecdh256, .ecdh384, .ecdh521, .group14, .mlkem768p256, .groupExchange,
            .sntrup761x25519,
        ]
        let method = methods[Int(mode >> 1) % methods.count]
        let group = method == .groupExchange ? DiffieHellmanGroup(bits: 2048) : nil
        let lengths: (toClient: ClosedRange<Int>, toServer: ClosedRange<Int>)
        switch method.kind {
        case .curve(let curve): lengths = (curve.partLength...curve.partLength, curve.partLength...curve.partLength)
        case .hybrid(let lattice, let curve):
            let toClient = lattice.ciphertextLength + curve.partLength
            let toServer = lattice.publicLength + curve.partLength
            lengths = (toClient...toClient, toServer...toServer)
        case .group, .groupExchange: lengths = (1...256, 1...256)
        }
        let part = input.rest()
        var random = RandomSource.reproducible(seed: 1)
        do throws(SSHError) {
            let secret: Secret
            if mode & 1 == 0 {
                secret = try KeyAgreement(method, in: group, &random).secret(peerPart: part)
                promise(lengths.toClient.contains(part.count), "a part has the method's length")
            } else {
                let answer = try KeyAgreement.answer(method, in: group, peerPart: part, &random)
                secret = answer.secret
                promise(lengths.toServer.contains(part.count), "a part has the method's length")
            }
            let length = secret.withBytes { Wire.uint32(in: Array($0), at: 0) }
            promise(length == secret.count - 4, "a secret comes with its length")
        } catch {
            promise(error.kind == .keyExchange, "a false part ends the exchange: \(error)")
        }
    }
}
