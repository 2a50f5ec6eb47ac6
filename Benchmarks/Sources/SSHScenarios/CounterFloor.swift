internal import LibcryptoFloor
internal import Scenario

/// AES-CTR and HMAC by libcrypto as its manual has them used, over what sixteen full packets have in them: what sealing those
/// is compared with (`FLOORS` in `run`).
private struct CounterFloor: ~Copyable, Round {
    private static let count = 16
    /// A full packet from its length field to its tag.
    private static let length = 32788
    private let handle: OpaquePointer
    private let memory: UnsafeMutablePointer<UInt8>

    init(bits: Int32) {
        guard let handle = floor_new(bits) else { giveUp("libcrypto has no AES-CTR or no HMAC") }
        self.handle = handle
        memory = .allocate(capacity: Self.length + 64)
        memory.initialize(repeating: 0x61, count: Self.length + 64)
    }

    deinit {
        floor_free(handle)
        memory.deallocate()
    }

    mutating func run() {
        for _ in 0..<Self.count {
            guard floor_seal(handle, memory, Self.length) == 1 else { giveUp("libcrypto does not seal") }
        }
    }
}

let counterFloors = [256, 512].map { bits in
    Scenario("floor-aesctr-sha\(bits)-32768") { CounterFloor(bits: Int32(bits)) }
}
