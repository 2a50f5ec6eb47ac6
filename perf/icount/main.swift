// Seals and opens packets, and sends and receives payload with the whole engine, so that perf/icount/run can count what
// each packet costs. Compiled together with the sources of CulvertSSH, as one module; the engine is in engine.swift.
//
// usage: packets list            the cases, one a line
//        packets all COUNT       every case, COUNT packets each
//        packets CASE COUNT      one case

import Glibc

/// One cipher, by one library, with payload of one length.
struct Case {
    let isEngine: Bool
    let cipher: PacketCipher
    let provider: PacketKey.GCMProvider
    let payloadLength: Int

    /// With the header of SSH_MSG_CHANNEL_DATA.
    var messageLength: Int { 9 + payloadLength }

    /// A small request, a full segment of Ethernet, a full packet of payload.
    static let payloadLengths = [100, 1448, 32768]

    static let all: [Case] = {
        let providers: [PacketKey.GCMProvider] =
            PacketKey.GCMProvider.found == .ipsecMB ? [.ipsecMB, .libcrypto] : [.libcrypto]
        let kinds: [(PacketCipher, PacketKey.GCMProvider)] =
            [(PacketCipher.none, .best)] + providers.map { (.aes256GCM, $0) } + providers.map { (.aes128GCM, $0) }
            + [
                (.chaCha20Poly1305, .best), (.aesCTR(.aes128, .sha256OverCiphertext), .best),
                (.aesCTR(.aes128, .sha512), .best),
            ]
        let packets = kinds.flatMap { kind in
            payloadLengths.map { Case(isEngine: false, cipher: kind.0, provider: kind.1, payloadLength: $0) }
        }
        // The engine takes the library that it finds best.
        let engines: [PacketCipher] = [
            .aes256GCM, .aes128GCM, .chaCha20Poly1305, .aesCTR(.aes128, .sha256OverCiphertext),
        ]
        return packets
            + engines.flatMap { cipher in
                [100, 32768].map {
                    Case(isEngine: true, cipher: cipher, provider: .found, payloadLength: $0)
                }
            }
    }()

    var name: String {
        let library =
            switch (cipher, provider) {
            case (.none, _): "nothing"
            case (.chaCha20Poly1305, _), (.aesCTR, _), (_, .libcrypto): "libcrypto"
            case (_, .ipsecMB): "libipsec-mb"
            case (_, .best): "best"
            }
        return (isEngine ? "engine " : "") + "\(cipher.words) \(library) \(payloadLength)"
    }

    func key(_ direction: PacketKey.Direction) throws -> PacketKey {
        let key = [UInt8](repeating: 7, count: cipher.keyLength)
        let iv = [UInt8](repeating: 9, count: cipher.ivLength)
        let macKey = [UInt8](repeating: 5, count: cipher.macKeyLength)
        return try PacketKey(cipher, key: key.span, iv: iv.span, macKey: macKey.span, direction, gcm: provider)
    }
}

/// Packets that lie back to back, as in the engine's output.
struct Bench: ~Copyable {
    var sealer = PacketSealer()
    var opener = PacketOpener()
    let memory: UnsafeMutableRawPointer
    let messageLength: Int
    let count: Int
    let stride: Int

    init(_ test: Case, count: Int) throws {
        sealer.setKey(try test.key(.sealing), resetsSequence: true)
        opener.setKey(try test.key(.opening), resetsSequence: true)
        messageLength = test.messageLength
        self.count = count
        stride = sealer.wireLength(messageLength: messageLength)
        memory = UnsafeMutableRawPointer.allocate(byteCount: stride * count, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0x61, count: stride * count)
    }

    deinit { memory.deallocate() }

    @inline(__always) mutating func seal() {
        for index in 0..<count { _ = sealer.seal(at: memory + index * stride, messageLength: messageLength) }
    }

    @inline(__always) mutating func open() {
        for index in 0..<count {
            guard let opened = try? opener.open(memory + index * stride, available: stride),
                opened.wireLength == stride, opened.packet.count == messageLength
            else { fatalError("a packet does not open") }
        }
    }
}

/// What is counted: nothing but these, and their like in engine.swift. Their names are the ones that callgrind is told.
@_silgen_name("icount_seal") @inline(never) func measuredSeal(_ bench: inout Bench) { bench.seal() }
@_silgen_name("icount_open") @inline(never) func measuredOpen(_ bench: inout Bench) { bench.open() }
/// Marks the end of what is counted: callgrind writes a part of its report and begins the next one.
@_silgen_name("icount_mark") @inline(never) @_optimize(none) func mark() {}
/// The same, uncounted: what is done only the first time is behind us then.
@inline(never) func warm(_ bench: inout Bench) {
    bench.seal()
    bench.open()
}

func run(_ test: Case, count: Int) throws {
    if test.isEngine { return try runEngine(test, count: count) }
    var bench = try Bench(test, count: count)
    warm(&bench)
    measuredSeal(&bench)
    mark()
    measuredOpen(&bench)
    mark()
}

let arguments = CommandLine.arguments.dropFirst()
switch (arguments.first, arguments.dropFirst().first.flatMap { Int($0) }) {
case ("list", _): for test in Case.all { print(test.name) }
case ("all", let count?): for test in Case.all { try run(test, count: count) }
case (let name?, let count?):
    guard let test = Case.all.first(where: { $0.name == name }) else { fatalError("there is no case \(name)") }
    try run(test, count: count)
default: fatalError("usage: packets list | all COUNT | CASE COUNT")
}
