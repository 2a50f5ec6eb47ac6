internal import CLinux

/// A thread of its own. Detached: its end is told by its body, through a mailbox.
public enum Thread {
    private final class Entry: Sendable {
        let name: String
        let processor: Int?
        let body: @Sendable () -> Void
        init(name: String, processor: Int?, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.processor = processor
            self.body = body
        }
    }

    /// Starts a thread, pinned to `processor` unless nil. The name is cut to 15 bytes by the kernel.
    public static func start(name: String, processor: Int? = nil, _ body: @escaping @Sendable () -> Void)
        throws(IOError)
    {
        let entry = unsafe Unmanaged.passRetained(Entry(name: name, processor: processor, body: body))
        let result = unsafe culvert_thread_start(
            { argument in
                let entry = unsafe Unmanaged<Entry>.fromOpaque(argument!).takeRetainedValue()
                unsafe culvert_name_thread(String(entry.name.prefix(15)))
                // A refusal (the set was narrowed meanwhile) costs speed, not correctness.
                if let processor = entry.processor { _ = culvert_pin(Int32(processor)) }
                entry.body()
                return nil
            }, entry.toOpaque())
        if result != 0 {
            unsafe entry.release()
            throw IOError(-result, "starting a thread")
        }
    }

    /// Makes the calling thread's waits end when they are due, not up to 50 µs later.
    public static func wakeOnTime() { culvert_wake_on_time() }

    /// The processors that this process may use, in order, beginning with one that depends on the process: several
    /// culverts on one machine do not pile onto the first.
    public static func processors(startingAt seed: Int) -> [Int] {
        var numbers = [Int32](repeating: 0, count: 1024)
        let count = unsafe Int(culvert_processors(&numbers, Int32(numbers.count)))
        guard count > 0 else { return [0] }
        let start = seed % count
        return (0..<count).map { Int(numbers[(start + $0) % count]) }
    }
}
