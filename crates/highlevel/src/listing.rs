//! Lists that are read page by page.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::Result;

/// The future of one page.
pub(crate) type Fetch<T> = Pin<Box<dyn Future<Output = Result<ListPage<T>>> + Send>>;

/// A request for the next page.
pub(crate) type NextPage<T> = Box<dyn FnOnce() -> Fetch<T> + Send>;

/// A page of a list.
pub(crate) struct ListPage<T> {
    pub(crate) items: Vec<T>,
    /// The request for the page after it. `None` for the last page.
    pub(crate) next: Option<NextPage<T>>,
}

/// A list that HighLevel returns page by page: a [`Stream`], and [`next`](Self::next) for programs without a stream library.
///
/// A page is requested when all items of the previous one were taken, so that one page is in memory. Each request counts
/// against the rate limits and is retried like other requests that read. After an error the list has ended.
#[must_use = "a list does nothing until its items are taken"]
pub struct Listing<T> {
    items: VecDeque<T>,
    state: ListingState<T>,
}

enum ListingState<T> {
    /// No request is in progress.
    Waiting(NextPage<T>),
    /// A page is being fetched.
    Fetching(Fetch<T>),
    /// There is no further page.
    Ended,
}

impl<T> Listing<T> {
    /// Creates a list from the request for its first page.
    pub(crate) fn new(first: impl FnOnce() -> Fetch<T> + Send + 'static) -> Self {
        Self { items: VecDeque::new(), state: ListingState::Waiting(Box::new(first)) }
    }

    /// Returns the next item, or `None` at the end of the list.
    ///
    /// # Errors
    ///
    /// Returns an error if a page cannot be read. The list has ended then.
    pub async fn next(&mut self) -> Option<Result<T>> {
        poll_fn(|context| self.poll_item(context)).await
    }

    /// Returns all remaining items.
    ///
    /// # Errors
    ///
    /// Returns an error if a page cannot be read.
    pub async fn collect(mut self) -> Result<Vec<T>> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            all.push(item?);
        }
        Ok(all)
    }

    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            match &mut self.state {
                ListingState::Ended => return Poll::Ready(None),
                ListingState::Waiting(_) => {
                    let ListingState::Waiting(next) = std::mem::replace(&mut self.state, ListingState::Ended)
                    else {
                        return Poll::Ready(None);
                    };
                    self.state = ListingState::Fetching(next());
                }
                ListingState::Fetching(fetch) => {
                    let page = ready!(fetch.as_mut().poll(context));
                    self.state = ListingState::Ended;
                    let page = match page {
                        Ok(page) => page,
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    };
                    self.items = page.items.into();
                    self.state = page.next.map_or(ListingState::Ended, ListingState::Waiting);
                }
            }
        }
    }
}

impl<T> Unpin for Listing<T> {}

impl<T> Stream for Listing<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        self.poll_item(context)
    }
}

impl<T> fmt::Debug for Listing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("buffered", &self.items.len()).finish_non_exhaustive()
    }
}
