internal import CLinux

/// Ranges of memory that leave in one gathering send. Fixed room, no allocation; the memory they name must outlive
/// the send.
@safe public struct RangeList: ~Copyable {
    /// One send gathers at most this many; beyond it the list is full and must be sent.
    public static let capacity = 16

    private let ranges: UnsafeMutablePointer<culvert_range>
    public private(set) var count = 0
    public private(set) var totalLength = 0

    public init() { unsafe ranges = .allocate(capacity: Self.capacity) }
    deinit { unsafe ranges.deallocate() }

    public var isFull: Bool { count == Self.capacity }
    public var isEmpty: Bool { count == 0 }

    public mutating func append(_ start: UnsafeRawPointer, _ length: Int) {
        precondition(count < Self.capacity, "a full list is sent before it grows")
        unsafe ranges[count] = culvert_range(start: start, count: length)
        count += 1
        totalLength += length
    }

    public mutating func removeAll() {
        count = 0
        totalLength = 0
    }

    public func start(_ index: Int) -> UnsafeRawPointer { unsafe ranges[index].start! }
    public func length(_ index: Int) -> Int { unsafe ranges[index].count }

    func send(on descriptor: Descriptor) -> Int {
        unsafe Int(culvert_send_ranges(descriptor, ranges, Int32(count)))
    }
}
